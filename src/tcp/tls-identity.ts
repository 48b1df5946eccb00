/** What a node shows of itself in a TLS handshake: a certificate of a key that lives as long as the process. */
import { constants, generateKeyPair, type KeyObject, randomBytes, sign } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { promisify } from 'node:util'
import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { encodeCertificate, encodeSignedKey } from './certificate-der.ts'
import { CERTIFICATE_BACKDATE_MS, CERTIFICATE_LIFETIME_MS, LIBP2P_EXTENSION_OID } from './constants.ts'
import { signedContent } from './signed-content.ts'

const SERIAL_NUMBER_BYTES = 16

/** The cheapest first where processors have AES instructions; all are as good. The server's order counts. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384'

/** Makes a key and a certificate that the host key vouches for. Neither ever leaves the memory. */
export async function createTlsIdentity(hostKey: PrivateKey): Promise<SecureContext> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return createSecureContext({
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: pem(await certificate(hostKey, publicKey, privateKey)),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    // Nothing to resume a session by: who is resumed shows no certificate.
    secureOptions: constants.SSL_OP_NO_TICKET
  })
}

async function certificate(
  hostKey: PrivateKey,
  publicKey: KeyObject,
  privateKey: KeyObject
): Promise<Uint8Array> {
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const value = encodeSignedKey({
    publicKey: publicKeyToProtobuf(hostKey.publicKey),
    signature: await hostKey.sign(signedContent(spki))
  })
  const notBefore = Date.now() - CERTIFICATE_BACKDATE_MS
  return encodeCertificate(
    {
      serialNumber: serialNumber(),
      notBefore: new Date(notBefore),
      notAfter: new Date(notBefore + CERTIFICATE_LIFETIME_MS),
      publicKey: spki,
      extensions: [{ oid: LIBP2P_EXTENSION_OID, critical: false, value }]
    },
    tbs => sign('sha256', tbs, privateKey)
  )
}

/** Positive, and without a leading zero byte, as DER wants it. */
function serialNumber(): Uint8Array {
  const bytes = randomBytes(SERIAL_NUMBER_BYTES)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}

function pem(der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`
}
