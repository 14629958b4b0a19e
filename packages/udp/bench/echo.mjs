// Echoed datagrams per second of CPU, plain and batched: node packages/udp/bench/echo.mjs [BYTES] [SECONDS]
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Endpoint } from '@atoll/base';
import { openDatagramSocket } from '@atoll/udp';

const [, , role, ...rest] = process.argv;
if (role === 'server') {
  const socket = await openDatagramSocket(
    { family: 4, address: '127.0.0.1', port: 0, implementation: rest[0], receiveBufferBytes: 4 << 20 },
    { receive: (bytes, from) => socket.send(bytes, from) },
  );
  const before = process.cpuUsage();
  process.on('message', () => {
    const { user, system } = process.cpuUsage(before);
    process.send({
      cpu: (user + system) / 1e6,
      count: socket.stats.receivedDatagrams,
      batches: socket.stats.receiveBatches,
    });
    process.exit(0);
  });
  process.send({ port: socket.local.port });
} else {
  const size = Number(role ?? 60);
  const seconds = Number(rest[0] ?? 2);
  for (const implementation of ['dgram', 'native']) {
    const server = fork(fileURLToPath(import.meta.url), ['server', implementation]);
    const [{ port }] = await new Promise((resolve) => server.once('message', (message) => resolve([message])));
    const to = Endpoint.from('127.0.0.1', port);
    const bytes = Buffer.alloc(size);
    let inFlight = 0;
    const socket = await openDatagramSocket(
      { family: 4, address: '127.0.0.1', port: 0, receiveBufferBytes: 4 << 20 },
      { receive: () => inFlight-- },
    );
    const end = performance.now() + 1000 * seconds;
    let last = performance.now();
    while (performance.now() < end) {
      const before = inFlight;
      while (inFlight < 256) {
        inFlight++;
        socket.send(bytes, to);
      }
      await new Promise((resolve) => setImmediate(resolve));
      if (before !== inFlight) last = performance.now();
      else if (performance.now() - last > 100) inFlight = 0;
    }
    server.send('stop');
    const [result] = await new Promise((resolve) => server.once('message', (message) => resolve([message])));
    await socket.close();
    console.log(
      `${implementation}: ${Math.round(result.count / result.cpu)} datagrams of ${size} bytes per CPU-second ` +
        `(${result.count} in ${result.cpu.toFixed(2)} s, ${(result.count / result.batches).toFixed(1)} a batch)`,
    );
  }
}
