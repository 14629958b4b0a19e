/**
 * File in the state directory of a running hub that says where its services are and which other nodes it was told of:
 * what the ready file says and `bootstrap`. The doctor reads it, to find a hub that was not started by its own hand.
 */
export const RUNNING_FILE = 'running.json';
