import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Router } from './router.js';

const nothing = (): void => {};

test('paths lead to their handlers, fixed parts before parameters', () => {
  const router = new Router()
    .on('GET', '/', nothing)
    .on('GET', '/key/:hash', nothing)
    .on('SUBSCRIBE', '/key/:hash', nothing)
    .on('GET', '/key/:hash/listen', nothing)
    .on('GET', '/node/info', nothing)
    .on('GET', '/:hash', nothing)
    .on('GET', '/:hash/:id', nothing);
  const found = (path: string): unknown => {
    const route = router.find(path);
    return route === undefined ? undefined : [[...route.handlers.keys()], route.parameters];
  };
  assert.deepEqual(found('/'), [['GET', 'HEAD'], []]);
  assert.deepEqual(found('/key/abc'), [['GET', 'HEAD', 'SUBSCRIBE'], ['abc']]);
  assert.deepEqual(found('/key/abc/listen'), [['GET', 'HEAD'], ['abc']]);
  assert.deepEqual(found('/key'), [['GET', 'HEAD'], ['key']], 'a parameter may look like a fixed part');
  assert.deepEqual(found('/node/other'), [
    ['GET', 'HEAD'],
    ['node', 'other'],
  ]);
  assert.deepEqual(found('/a%2Fb'), [['GET', 'HEAD'], ['a%2Fb']], 'not decoded');
  for (const path of ['/key/abc/', '/key/abc/listen/x', '/a/b/c', '//', '/key//listen']) {
    assert.equal(found(path), undefined, path);
  }
  assert.throws(() => router.on('GET', '/:other', nothing), TypeError);
});

test('case and a slash at the end can mean nothing', () => {
  const router = new Router({ ignoresCase: true, ignoresTrailingSlash: true, answersHead: false })
    .on('GET', '/Key/:hash/Listen', nothing)
    .on('GET', '/', nothing);
  assert.deepEqual(router.find('/KEY/AbC/listen/')?.parameters, ['AbC']);
  assert.deepEqual([...(router.find('/')?.handlers.keys() ?? [])], ['GET']);
});
