import { expect, test } from 'vitest';
import { hostOf, isLoopback } from './address.ts';

test.for([
  ['127.0.0.1:0', '127.0.0.1', true],
  ['127.1.2.3:7410', '127.1.2.3', true],
  ['localhost:1', 'localhost', true],
  ['[::1]:65535', '[::1]', true],
  ['0.0.0.0:1', '0.0.0.0', false],
  ['[::]:1', '[::]', false],
  ['127.0.0.1.example.com:1', '127.0.0.1.example.com', false],
  ['localhost.example.com:1', 'localhost.example.com', false],
  ['127.0.0.1', undefined, false],
  ['127.0.0.1:65536', undefined, false],
  ['::1:80', undefined, false],
  [':80', undefined, false],
] as const)('%s has the host %s, and is on loopback: %s', ([address, host, local]) => {
  expect(hostOf(address)).toBe(host);
  expect(isLoopback(address)).toBe(local);
});
