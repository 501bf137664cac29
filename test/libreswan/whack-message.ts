/**
 * A message from whack, apart: the bytes of struct whack_message that are fields, and the strings behind them. What lies
 * between fields is the compiler's, and may hold anything.
 */
interface Shape {
  /** Where the strings begin. */
  readonly strings: number;
  /** Offset and length of each hole. */
  readonly holes: ReadonlyArray<readonly [number, number]>;
}

/** 4.8 to 4.15. */
const SHAPE_4: Shape = {
  strings: 1488,
  // biome-ignore format: a table
  holes: [
    [17, 7], [41, 7], [78, 2], [84, 4], [102, 2], [124, 4], [313, 3], [325, 3], [353, 3], [364, 4], [445, 3], [473, 3],
    [497, 3], [521, 3], [549, 3], [577, 3], [606, 2], [617, 7], [642, 2], [682, 6], [699, 1], [709, 3], [716, 4], [797, 3],
    [825, 3], [849, 3], [873, 3], [901, 3], [929, 3], [958, 2], [969, 7], [994, 2], [1034, 6], [1051, 1], [1061, 3],
    [1068, 4], [1082, 6], [1114, 6], [1132, 4], [1165, 3], [1193, 3], [1227, 5], [1242, 6], [1263, 1], [1273, 3], [1282, 2],
    [1285, 3], [1311, 1], [1321, 7], [1394, 2], [1436, 4], [1452, 4],
  ],
};

const SHAPE_5_2: Shape = {
  strings: 1608,
  // biome-ignore format: a table
  holes: [
    [6, 2], [21, 3], [60, 4], [73, 3], [81, 3], [98, 6], [273, 7], [297, 7], [321, 7], [337, 7], [377, 7], [401, 7], [412, 4],
    [473, 3], [521, 3], [532, 4], [577, 7], [601, 7], [693, 3], [721, 3], [753, 3], [780, 4], [810, 2], [821, 3], [850, 6],
    [877, 3], [892, 4], [981, 3], [1009, 3], [1041, 3], [1068, 4], [1098, 2], [1109, 3], [1138, 6], [1165, 3], [1180, 4],
    [1242, 6], [1260, 4], [1293, 3], [1321, 3], [1355, 5], [1391, 1], [1401, 3], [1410, 2], [1413, 3], [1439, 1], [1451, 5],
    [1540, 4], [1564, 4], [1581, 3], [1588, 4],
  ],
};

function shapeOf(version: string): Shape {
  if (/^4\.([89]|1[0-5])$/.test(version)) return SHAPE_4;
  if (version === '5.2') return SHAPE_5_2;
  throw new Error(`nothing is known of the messages of ${version}`);
}

export interface WhackMessage {
  /** "@76 01": offset and bytes, in hexadecimal, of each 4 that are not all zero. */
  readonly fields: string[];
  readonly strings: string;
}

export function dissect(version: string, message: Buffer): WhackMessage {
  const { strings, holes } = shapeOf(version);
  const fields = Buffer.from(message.subarray(0, strings));
  for (const [offset, length] of holes) fields.fill(0, offset, offset + length);
  const words: string[] = [];
  for (let at = 0; at < fields.length; at += 4) {
    const word = fields.subarray(at, at + 4);
    if (word.some((byte) => byte !== 0)) words.push(`@${at} ${word.toString('hex')}`);
  }
  return { fields: words, strings: message.subarray(strings).toString('latin1') };
}
