/** Certificates of all sorts, good and bad. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey, PublicKey } from '@libp2p/interface'
import {
  type CertificateExtension,
  encodeCertificate,
  encodeSignedKey
} from '../../src/tcp/certificate-der.ts'
import { LIBP2P_EXTENSION_OID } from '../../src/tcp/constants.ts'
import { signedContent } from '../../src/tcp/signed-content.ts'

export interface CertificateOptions {
  /** Signs the certificate's key. */
  readonly hostKey: PrivateKey
  /** Whom the certificate claims to be of. @default the host key's */
  readonly claimed?: PublicKey
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** Value of the libp2p extension in place of the right one. */
  readonly extension?: Uint8Array
  /** All extensions, in place of the libp2p one. */
  readonly extensions?: readonly CertificateExtension[]
  /** Signs the certificate in place of its own key. */
  readonly signer?: KeyObject
}

export interface Credentials {
  readonly der: Uint8Array
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

const DAY_MS = 24 * 60 * 60 * 1000

export function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * DAY_MS)
}

/** A certificate that is right but for what the options say. */
export async function makeCertificate(options: CertificateOptions): Promise<Credentials> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const value = options.extension ?? (await extensionFor(spki, options.hostKey, options.claimed))
  const der = encodeCertificate(
    {
      serialNumber: Buffer.concat([Buffer.from([0x41]), randomBytes(8)]),
      notBefore: options.notBefore ?? daysFromNow(-1),
      notAfter: options.notAfter ?? daysFromNow(1),
      publicKey: spki,
      extensions: options.extensions ?? [{ oid: LIBP2P_EXTENSION_OID, critical: false, value }]
    },
    tbs => sign('sha256', tbs, options.signer ?? privateKey)
  )
  return { der, cert: pemOf(der), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

async function extensionFor(
  spki: Uint8Array,
  hostKey: PrivateKey,
  claimed: PublicKey = hostKey.publicKey
): Promise<Uint8Array> {
  const signature = await hostKey.sign(signedContent(spki))
  return encodeSignedKey({ publicKey: publicKeyToProtobuf(claimed), signature })
}

export function newSigner(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function pemOf(der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END CERTIFICATE-----\n`
}
