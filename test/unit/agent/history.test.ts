import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_EVENTS } from '#src/agent/events.js';
import { History } from '#src/agent/history.js';
import { newPath, type PathMemory } from '#src/decide/path.js';

const path = (state: PathMemory['state'], reason: string): PathMemory => ({ ...newPath(0), state, reason });

test('path changes are kept, newest first, and passed on', () => {
  let now = 1000;
  const history = new History(() => now);
  const passed: string[] = [];
  const events = history.listening({ ...NO_EVENTS, transition: (gateway) => passed.push(gateway) });
  events.transition('a', null, path('punching', 'both holes are known'));
  now = 2500;
  events.transition('a', path('punching', ''), path('direct', 'direct answers'));
  events.transition('b', path('direct', ''), path('punching', 'direct does not answer'));
  assert.deepEqual(passed, ['a', 'a', 'b']);
  assert.deepEqual(history.of('a', 5), [
    { at: 2.5, gateway: 'a', from: 'punching', to: 'direct', reason: 'direct answers' },
    { at: 1, gateway: 'a', from: 'relayed', to: 'punching', reason: 'both holes are known' },
  ]);
  assert.equal(history.of('a', 1).length, 1);
  assert.equal(history.all[0]?.gateway, 'b');
});

test('a flapping path does not fill the memory, and the list is another one after each change', () => {
  const history = new History();
  const events = history.listening(NO_EVENTS);
  const before = history.all;
  for (let count = 0; count < 1000; count += 1) events.transition('a', null, path('punching', String(count)));
  assert.equal(history.all.length, 200);
  assert.equal(history.all[0]?.reason, '999');
  assert.notEqual(history.all, before);
});
