import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as natPmp from './nat-pmp.js';
import * as pcp from './pcp.js';
import { decodeSearchAnswer } from './ssdp.js';
import { decodeActionAnswer, decodeDescription, encodeAction } from './upnp.js';

const NONCE = Buffer.from('000102030405060708090a0b', 'hex');

test('NAT-PMP has the layout of RFC 6886', () => {
  assert.equal(natPmp.encodeAddressRequest().toString('hex'), '0000');
  assert.equal(natPmp.encodeMapRequest('udp', 4222, 14_222, 7200).toString('hex'), '00010000107e378e00001c20');
  assert.deepEqual(natPmp.decodeNatPmpAnswer(Buffer.from('00800000000000100b162101', 'hex')), {
    result: 0,
    epoch: 16,
    externalAddress: '11.22.33.1',
  });
  assert.deepEqual(
    natPmp.decodeNatPmpAnswer(Buffer.from('008200000000001000500051 00000078'.replace(' ', ''), 'hex')),
    {
      result: 0,
      epoch: 16,
      mapping: { transport: 'tcp', internalPort: 80, externalPort: 81, lifetime: 120 },
    },
  );
  assert.deepEqual(natPmp.decodeNatPmpAnswer(Buffer.from('0081000200000010', 'hex')), { result: 2, epoch: 16 });
});

test('PCP has the layout of RFC 6887', () => {
  const mapping = {
    nonce: NONCE,
    transport: 'udp',
    internalPort: 4222,
    externalPort: 14_222,
    externalAddress: '0.0.0.0',
  } as const;
  const request = pcp.encodeMapRequest(mapping, 7200, '10.9.0.5');
  assert.equal(
    request.toString('hex'),
    '0201000000001c2000000000000000000000ffff0a090005' +
      '000102030405060708090a0b11000000107e378e00000000000000000000ffff00000000',
  );
  const answer = Buffer.from(request);
  answer[1] = 0x81;
  answer.writeUInt32BE(99, 8);
  assert.deepEqual(pcp.decodePcpAnswer(answer), { opcode: 'map', result: 0, lifetime: 7200, epoch: 99, mapping });
  assert.equal(pcp.decodePcpAnswer(request), 'no answer');
  assert.equal(pcp.decodePcpAnswer(Buffer.concat([Buffer.from([0]), answer.subarray(1)])), 'other version');
});

test('UPnP leads to the router that answered, and nowhere else', () => {
  const location = new URL('http://192.168.1.1:5000/rootDesc.xml');
  const service = (version: number, control: string): string =>
    `<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:${version}</serviceType><controlURL>${control}</controlURL></service>`;
  const found = decodeDescription(`<root>${service(1, '/one')}${service(2, '/two')}</root>`, location);
  assert.equal(found?.controlUrl.href, 'http://192.168.1.1:5000/two');
  for (const elsewhere of ['http://192.168.1.1:22/', 'http://203.0.113.1/', '//example.org/', 'file:///etc/passwd']) {
    assert.equal(decodeDescription(service(1, elsewhere), location), undefined, elsewhere);
  }
  assert.match(encodeAction('urn:x', 'AddPortMapping', { NewDescription: '<&">' }), />&lt;&amp;&quot;&gt;</);
  assert.deepEqual(decodeActionAnswer('<errorCode>718</errorCode>', 'AddPortMapping', []), {
    error: 718,
    description: '',
  });
  const answer = '<u:GetExternalIPAddressResponse><NewExternalIPAddress>11.22.33.1</NewExternalIPAddress>';
  assert.deepEqual(decodeActionAnswer(answer, 'GetExternalIPAddress', ['NewExternalIPAddress']), {
    values: new Map([['NewExternalIPAddress', '11.22.33.1']]),
  });
});

test('whatever arrives is decoded or refused, never thrown at', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1200 }), (bytes) => {
      natPmp.decodeNatPmpAnswer(Buffer.from(bytes));
      pcp.decodePcpAnswer(Buffer.from(bytes));
      decodeSearchAnswer(Buffer.from(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      decodeDescription(`<service>${text}</service>`, new URL('http://192.168.1.1/'));
      decodeActionAnswer(text, 'A', ['B']);
    }),
  );
});
