/** Work that can be done in pieces, done in one go. */
export function drained<T>(pieces: Generator<void, T>): T {
  for (;;) {
    const { done, value } = pieces.next();
    if (done) return value;
  }
}
