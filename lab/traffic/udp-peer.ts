/**
 * Hand-made UDP packets from inside a namespace, for tests of the lab itself: a process that binds sockets
 * and sends and reports what it is told to, over lines of JSON on stdin and stdout.
 */
import { createSocket, type Socket } from 'node:dgram';
import { createInterface } from 'node:readline';

export type UdpCommand =
  | { readonly do: 'bind'; readonly socket: string; readonly address: string; readonly port: number }
  | {
      readonly do: 'send';
      readonly socket: string;
      readonly address: string;
      readonly port: number;
      readonly text: string;
    };

export type UdpEvent =
  | { readonly type: 'bound'; readonly socket: string }
  | {
      readonly type: 'received';
      readonly socket: string;
      readonly address: string;
      readonly port: number;
      readonly text: string;
    }
  | { readonly type: 'error'; readonly message: string };

const sockets = new Map<string, Socket>();
const say = (event: UdpEvent): void => console.log(JSON.stringify(event));

function obey(command: UdpCommand): void {
  const name = command.socket;
  if (command.do === 'send') {
    sockets.get(name)?.send(command.text, command.port, command.address, (error) => {
      if (error) say({ type: 'error', message: error.message });
    });
    return;
  }
  const socket = createSocket('udp4');
  sockets.set(name, socket);
  socket.on('error', (error) => say({ type: 'error', message: error.message }));
  socket.on('message', (data, { address, port }) => {
    say({ type: 'received', socket: name, address, port, text: data.toString('utf8') });
  });
  socket.bind(command.port, command.address, () => say({ type: 'bound', socket: name }));
}

createInterface({ input: process.stdin }).on('line', (line) => obey(JSON.parse(line) as UdpCommand));
