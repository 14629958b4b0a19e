export { type AccessToken, openAccessToken, sealAccessToken } from './access-token.js';
export type { AttributeCodec, ErrorCode } from './attribute-codec.js';
export {
  Attribute,
  type ChangeRequest,
  type IcmpError,
  isComprehensionRequired,
  type PasswordAlgorithm,
} from './attributes.js';
export {
  CHANNEL_HEADER_BYTES,
  decodeChannelData,
  encodeChannelData,
  frameBytes,
  isChannelData,
  MAX_CHANNEL,
  MAX_OLD_CHANNEL,
  MIN_CHANNEL,
  StreamFramer,
} from './channel-data.js';
export {
  longTermKey,
  type NonceFeatures,
  nonceCookie,
  nonceFeatures,
  PASSWORD_ALGORITHM_MD5,
  PASSWORD_ALGORITHM_SHA256,
  prepared,
  shortTermKey,
  userhash,
} from './credentials.js';
export { hasValidFingerprint, hasValidIntegrity, hasValidIntegritySha256 } from './integrity.js';
export { decodeMessage, HEADER_BYTES, isStun, type MessageClass, Method, StunMessage } from './message.js';
export { MessageWriter } from './message-writer.js';
export { INITIAL_RTO_MS, STREAM_TIMEOUT_MS, Transaction } from './transaction.js';
export { formatStunUri, parseStunUri, type StunUri } from './uri.js';
