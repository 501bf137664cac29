import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Untold } from '#src/agent/untold.js';

it('events that are not told are an error in status until one is told, or until that is old news', () => {
  const untold = new Untold();
  assert.deepEqual(untold.errors(0), []);
  untold.see(new Error('no right'), 10_000);
  untold.see(new Error('no answer'), 20_000);
  const message = 'events on Gateways are not told: no answer';
  assert.deepEqual(untold.errors(21_000), [{ code: 'CORAX_STORE', gateway: null, message, since: 10 }]);
  assert.deepEqual(untold.errors(620_001), []);
  untold.see(null, 630_000);
  assert.deepEqual(untold.errors(630_000), []);
  untold.see(new Error('no answer'), 640_000);
  assert.equal(untold.errors(640_000)[0]?.since, 640);
});
