export {
  type DatagramGroup,
  type GroupHandler,
  type GroupSocket,
  type GroupSocketOptions,
  type GroupStats,
  openDatagramGroup,
  type UnreachableFacts,
} from './datagram-group.js';
export {
  type DatagramHandler,
  type DatagramOptions,
  type DatagramSocket,
  type DatagramStats,
  openDatagramSocket,
} from './datagram-socket.js';
export {
  type MulticastHandler,
  type MulticastOptions,
  type MulticastSocket,
  openMulticastSocket,
} from './multicast-socket.js';
export { bindSharedStream, nativeGroup } from './native-group.js';
export { nativeDatagram } from './native-socket.js';
export { bindShared, type SharedSocketOptions } from './shared-sockets.js';
