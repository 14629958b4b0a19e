import { createSocket } from 'node:dgram';

/** A DNS server as a login page has it: every name leads to the address given as argument. */
const address = Buffer.from((process.argv[2] ?? '').split('.').map(Number));
const socket = createSocket('udp4');
socket.on('message', (question, from) => {
  const head = Buffer.from(question.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(1, 6);
  head.fill(0, 8);
  let end = 12;
  while (end < question.length && question[end] !== 0) end += 1 + (question[end] ?? 0);
  const asked = question.subarray(12, end + 5);
  const answer = Buffer.concat([Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]), address]);
  socket.send(Buffer.concat([head, asked, answer]), from.port, from.address);
});
socket.bind(53, () => process.stdout.write('answers everything\n'));
