export { asBuffer, binaryBytes, binaryString } from './binary.js';
export { type Clock, systemClock } from './clock.js';
export { Endpoint, type Family, formatIp, parseIp, splitHostPort } from './endpoint.js';
export { AtollError, errorCode, errorMessage, UsageError } from './errors.js';
export { HeardLately } from './heard-lately.js';
export { type Logger, type LogLevel, silentLogger } from './logger.js';
export { type RandomSource, systemRandom } from './random.js';
export { type Job, Scheduler } from './scheduler.js';
