/** The part of the codec that codec.ts uses; the package ships no types. */
declare module '@msimerson/stun' {
  interface Attribute {
    readonly type: number;
    readonly value: unknown;
  }
  interface Message extends Iterable<Attribute> {
    readonly type: number;
    readonly transactionId: Buffer;
    getAttribute(type: number): Attribute | undefined;
  }
  interface OutgoingMessage extends Message {
    addAttribute(type: number, ...values: Array<string | number>): Attribute | undefined;
  }
  const stun: {
    createMessage(type: number, transactionId: Buffer): OutgoingMessage;
    encode(message: Message): Buffer;
    /** Throws on much of what is no STUN message, and on malformed attributes. */
    decode(bytes: Buffer): Message;
  };
  export default stun;
}
