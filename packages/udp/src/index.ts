export {
  type DatagramHandler,
  type DatagramOptions,
  type DatagramSocket,
  type DatagramStats,
  openDatagramSocket,
} from './datagram-socket.js';
export { nativeDatagram } from './native-socket.js';
