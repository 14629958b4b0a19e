import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint, Scheduler, systemRandom } from '@atoll/base';
import { type DnsMessage, decodeDnsMessage, encodeDnsMessage, Type } from './dns-message.js';
import { Responder } from './responder.js';

/** Responders on one link, in virtual time. */
class Link {
  nowMs = 0;
  readonly sent: DnsMessage[] = [];
  private readonly stations: { responder: Responder; scheduler: Scheduler; from: Endpoint }[] = [];

  add(name: string, address: string): Responder {
    const from = Endpoint.from(address, 5353) as Endpoint;
    const scheduler = new Scheduler(() => {});
    const responder = new Responder(
      {
        clock: { nowMs: () => this.nowMs, unixMs: () => this.nowMs },
        random: systemRandom,
        scheduler,
        sendToGroup: (bytes) => this.deliver(bytes, from),
        sendTo: (bytes) => this.deliver(bytes, from),
        onName: () => {},
      },
      { name, addresses: () => [address], httpPort: 8088, httpsPort: 8444 },
    );
    this.stations.push({ responder, scheduler, from });
    responder.start();
    return responder;
  }

  deliver(bytes: Buffer, from: Endpoint): void {
    const message = decodeDnsMessage(bytes);
    assert.ok(message !== undefined);
    this.sent.push(message);
    // Whoever sends hears himself, too.
    for (const { responder } of this.stations) responder.receive(bytes, from);
  }

  run(ms: number): void {
    const end = this.nowMs + ms;
    for (; this.nowMs < end; this.nowMs += 10) for (const { scheduler } of this.stations) scheduler.runDue(this.nowMs);
  }
}

const ASKER = Endpoint.from('10.0.0.99', 5353) as Endpoint;

test('a second hub takes the next name, also when both start at once, and both know of each other', () => {
  const link = new Link();
  const first = link.add('north', '10.0.0.1');
  const second = link.add('south', '10.0.0.2');
  const third = link.add('south', '10.0.0.3');
  link.run(20_000);
  assert.deepEqual([first.host, second.host, third.host].sort(), ['atoll-2.local', 'atoll-3.local', 'atoll.local']);
  const seen = first.hubs().map(({ name, url }) => `${name} ${url}`);
  assert.deepEqual(seen.sort(), ['south http://10.0.0.2:8088/', 'south http://10.0.0.3:8088/']);
  second.stop();
  assert.equal(first.hubs().length, 1);
});

test('many questions have one answer, a known answer none, a plain resolver one of its own', () => {
  const link = new Link();
  link.add('north', '10.0.0.1');
  link.run(10_000);
  link.sent.length = 0;
  const question = { name: 'ATOLL.local', type: Type.a, wantsUnicast: false };
  const ask = { id: 7, isResponse: false, questions: [question], answers: [], authorities: [], additional: [] };
  for (let i = 0; i < 50; i++) link.deliver(encodeDnsMessage(ask), ASKER);
  link.run(900);
  const answers = link.sent.filter(({ isResponse }) => isResponse);
  assert.equal(answers.length, 1);
  const found = answers[0]?.answers.find(({ type }) => type === Type.a);
  assert.deepEqual([...(found?.data ?? [])], [10, 0, 0, 1]);
  link.sent.length = 0;
  link.run(2000);
  link.deliver(encodeDnsMessage({ ...ask, answers: found === undefined ? [] : [found] }), ASKER);
  link.run(2000);
  assert.equal(link.sent.filter(({ isResponse }) => isResponse).length, 0);
  link.deliver(encodeDnsMessage(ask), ASKER.withPort(40_000));
  const plain = link.sent.find(({ isResponse }) => isResponse);
  assert.deepEqual([plain?.id, plain?.questions.length, plain?.answers[0]?.ttlSeconds], [7, 1, 10]);
});

test('strangers invent no more hubs than there is room for, and what is no message is dropped', () => {
  const link = new Link();
  const hub = link.add('north', '10.0.0.1');
  link.run(5000);
  const data = Buffer.concat([Buffer.from([0, 0, 0, 0, 0x1f, 0x98]), Buffer.from([1, 120, 0])]);
  for (let i = 0; i < 200; i++) {
    const name = `x${i}._atoll._tcp.local`;
    const record = { name, type: Type.srv, ttlSeconds: 120, isUnique: true, data };
    const message = { id: 0, isResponse: true, questions: [], answers: [record], authorities: [], additional: [] };
    link.deliver(encodeDnsMessage(message), ASKER);
  }
  assert.equal(hub.hubs().length, 64);
  const loop = Buffer.from('000000000001000000000000c00c000c0001', 'hex');
  for (const bytes of [Buffer.alloc(3), loop, Buffer.from('0000840000000040000000000000', 'hex')]) {
    assert.equal(decodeDnsMessage(bytes), undefined);
  }
});
