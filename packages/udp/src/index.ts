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
export { nativeDatagram } from './native-socket.js';
