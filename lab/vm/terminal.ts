/** An interactive shell in the guest: its hvc0 joined to this process's terminal. */
import type { Socket } from 'node:net';

/** Lines that a guest's program prints to have the person's terminal for a while. */
export const CONSOLE_OPEN = '\u0001corax console open';
export const CONSOLE_CLOSED = '\u0001corax console closed';

/** Joins stdin and stdout to the guest's console; returns how to undo it. */
export function bridgeTerminal(socket: Socket | null): () => void {
  if (socket === null) return () => {};
  const { stdin, stdout } = process;
  const send = (data: Buffer): void => {
    socket.write(data);
  };
  const show = (data: Buffer): void => {
    stdout.write(data);
  };
  if (stdin.isTTY) stdin.setRawMode(true);
  // End of input is Ctrl-D to a terminal.
  const end = (): void => {
    socket.write('\u0004');
  };
  stdin.on('data', send);
  stdin.once('end', end);
  stdin.resume();
  socket.on('data', show);
  return () => {
    stdin.off('data', send);
    stdin.off('end', end);
    socket.off('data', show);
    stdin.pause();
    if (stdin.isTTY) stdin.setRawMode(false);
  };
}
