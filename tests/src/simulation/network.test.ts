import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulateIslands } from './islands.js';
import { simulateLookups } from './lookups.js';
import { simulateMaintenance, simulatePermanence } from './permanence.js';

const MINUTE = 60_000;

test('lookups take hops in the order of the logarithm of the size', () => {
  for (const nodes of [50, 100, 400]) {
    const result = simulateLookups({ nodes, lookups: 60 });
    const shown = `${nodes} nodes: ${result.hops.toFixed(2)} hops, ${result.messages.toFixed(1)} messages`;
    assert.ok(result.hops <= 1 + Math.log2(nodes) / 3, shown);
    assert.ok(result.newcomerHops <= 1 + Math.log2(nodes) / 2, shown);
    assert.ok(result.messages <= 14 + Math.log2(nodes), shown);
    assert.ok(result.foundNearest >= 0.95, `${shown}, ${result.foundNearest} found the nearest`);
  }
});

test('two halves of a split network go on, and find each other again', () => {
  const result = simulateIslands({ nodes: 80, valuesPerSide: 20, apartMs: 20 * MINUTE });
  assert.equal(result.foundApart, 1);
  assert.equal(result.foundForeignApart, 0);
  assert.ok(result.foundMerged >= 0.99, `${result.foundMerged} found`);
  assert.ok(result.minutesToMerge <= 15, `${result.minutesToMerge} minutes`);
});

test('a permanent put survives one expiry after another, and its end', () => {
  const result = simulatePermanence({ nodes: 40, hours: 2, loss: 0.2 });
  assert.equal(result.found, 1);
  assert.equal(result.copiesAfterCancel, 0);
});

test('maintained values outlive those who put them and those who kept them', () => {
  const options = { nodes: 40, hours: 4, values: 40, loss: 0.1 };
  assert.ok(simulateMaintenance({ ...options, maintainsStorage: true }).found >= 0.99);
  assert.ok(simulateMaintenance({ ...options, maintainsStorage: false }).found < 0.95);
});
