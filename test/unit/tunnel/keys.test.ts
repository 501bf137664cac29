import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { codeOf } from '#src/errors.js';
import { loadKeyPair, publicKeyOf, wireguardPresharedKey } from '#src/tunnel/keys.js';

describe('the node key', () => {
  let dir: string;
  const file = () => join(dir, 'wireguard.key');
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'corax-keys-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('gives the public keys of RFC 7748 6.1', () => {
    const vectors = [
      [
        '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
        '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
      ],
      [
        '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
        'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
      ],
    ] as const;
    for (const [secret, open] of vectors) {
      assert.equal(publicKeyOf(Buffer.from(secret, 'hex')), Buffer.from(open, 'hex').toString('base64'));
    }
  });

  it('is made once, for the owner alone, and stays', async () => {
    const first = await loadKeyPair(dir);
    assert.equal((await stat(file())).mode & 0o777, 0o600);
    const [low, high] = [first.privateKey[0] as number, first.privateKey[31] as number];
    assert.deepEqual([low & 7, high & 0xc0], [0, 0x40], 'clamped');
    assert.deepEqual(await loadKeyPair(dir), { ...first, privateKey: Buffer.from(first.privateKey) });
    assert.deepEqual(await readdir(dir), ['wireguard.key'], 'no draft is left');
  });

  it('is one key for many that make it at once', async () => {
    const keys = await Promise.all(Array.from({ length: 12 }, () => loadKeyPair(dir)));
    assert.equal(new Set(keys.map((key) => key.publicKey)).size, 1);
    assert.equal((await loadKeyPair(dir)).publicKey, keys[0]?.publicKey);
    assert.deepEqual(await readdir(dir), ['wireguard.key']);
  });

  it('is made although a crash left a draft of the same process number', async () => {
    await writeFile(`${file()}.${process.pid}`, 'half a k');
    const { publicKey } = await loadKeyPair(dir);
    assert.equal((await loadKeyPair(dir)).publicKey, publicKey);
  });

  const refused: [string, string, number][] = [
    ['others can read', `${Buffer.alloc(32, 5).toString('base64')}\n`, 0o644],
    ['the group can read', `${Buffer.alloc(32, 5).toString('base64')}\n`, 0o640],
    ['is too short', Buffer.alloc(31, 5).toString('base64'), 0o600],
    ['is too long', Buffer.alloc(33, 5).toString('base64'), 0o600],
    ['is all zero: WireGuard takes it for none', Buffer.alloc(32).toString('base64'), 0o600],
    ['is empty', '', 0o600],
    ['is no base64', 'x'.repeat(44), 0o600],
  ];
  for (const [name, text, mode] of refused) {
    it(`is refused, and not replaced, when it ${name}`, async () => {
      await writeFile(file(), text);
      await chmod(file(), mode);
      await assert.rejects(
        loadKeyPair(dir),
        (error: Error) => codeOf(error) === 'CORAX_KEY' && error.message.includes(file()),
      );
      assert.equal(await readFile(file(), 'utf8'), text);
    });
  }

  it('is told of where it cannot be kept', async () => {
    await assert.rejects(loadKeyPair(join(dir, 'nowhere')), (error: Error) => codeOf(error) === 'CORAX_KEY');
  });
});

describe('the pre-shared key', () => {
  it("is SHA-256 of the secret's text", () => {
    // FIPS 180-2, B.1
    assert.equal(
      Buffer.from(wireguardPresharedKey('abc')).toString('hex'),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });
});
