export { decryptAesGcm, encryptAesGcm } from './aes-gcm.js';
export { Certificate, nodeIdOf } from './certificate.js';
export { type CertificateRequest, createCertificate } from './create-certificate.js';
export { generateIdentity, type Identity, loadIdentity, type NewIdentity, saveIdentity } from './identity.js';
export { commonBits, compareDistance, InfoHash, lowbit, PkId, prefix32 } from './info-hash.js';
export { type Argon2i, decryptWithPassword, encryptWithPassword } from './password.js';
export { DEFAULT_RSA_BITS, PrivateKey } from './private-key.js';
export { PublicKey } from './public-key.js';
