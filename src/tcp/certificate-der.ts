/** Certificates as bytes: node:crypto reads neither extensions of its own accord nor makes certificates. */
import * as asn1 from 'asn1js'
import { MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_DEPTH, MAX_CERTIFICATE_NODES } from './constants.ts'
import { InvalidPeerCertificateError } from './errors.ts'

/** What is signed of a new certificate, and by what. */
export interface CertificateContent {
  readonly serialNumber: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  readonly extensions: readonly CertificateExtension[]
}

/** What node:crypto does not tell about a certificate. */
export interface CertificateParts {
  /** SubjectPublicKeyInfo, as it stands in the certificate. */
  readonly publicKey: Uint8Array
  /** Whether the key's elliptic curve, if it has one, is spelt out instead of named. */
  readonly hasExplicitCurve: boolean
  /** OID. */
  readonly signatureAlgorithm: string
  readonly extensions: readonly CertificateExtension[]
}

export interface CertificateExtension {
  readonly oid: string
  readonly critical: boolean
  readonly value: Uint8Array
}

/** The libp2p extension: SignedKey in the libp2p TLS specification. */
export interface SignedKey {
  /** The host key as protobuf. */
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const EC_PUBLIC_KEY = '1.2.840.10045.2.1'
const COMMON_NAME = '2.5.4.3'
/** What subject and issuer are called. Nobody looks at it, but some want it not to be empty. */
const NAME = 'libp2p'

/** Tag numbers within TBSCertificate: RFC 5280, section 4.1. */
const VERSION_TAG = 0
const EXTENSIONS_TAG = 3
const VERSION_3 = 2

/** @param sign signs TBSCertificate with ECDSA and SHA-256, the signature as DER */
export function encodeCertificate(
  content: CertificateContent,
  sign: (tbs: Uint8Array) => Uint8Array
): Uint8Array {
  const algorithm = new asn1.Sequence({
    value: [new asn1.ObjectIdentifier({ value: ECDSA_WITH_SHA256 })]
  })
  const tbs = new asn1.Sequence({
    value: [
      new asn1.Constructed({
        idBlock: { tagClass: 3, tagNumber: VERSION_TAG },
        value: [new asn1.Integer({ value: VERSION_3 })]
      }),
      new asn1.Integer({ valueHex: bufferOf(content.serialNumber) }),
      algorithm,
      distinguishedName(),
      new asn1.Sequence({ value: [time(content.notBefore), time(content.notAfter)] }),
      distinguishedName(),
      asn1.fromBER(content.publicKey).result,
      new asn1.Constructed({
        idBlock: { tagClass: 3, tagNumber: EXTENSIONS_TAG },
        value: [new asn1.Sequence({ value: content.extensions.map(encodeExtension) })]
      })
    ]
  })
  const signature = sign(bytesOf(tbs))
  return bytesOf(
    new asn1.Sequence({
      value: [tbs, algorithm, new asn1.BitString({ valueHex: bufferOf(signature) })]
    })
  )
}

/** @throws InvalidPeerCertificateError */
export function decodeCertificate(der: Uint8Array): CertificateParts {
  const [tbs, signatureAlgorithm] = childrenOf(parse(der, 'certificate'), 'certificate')
  // Of optional fields before it, all but the version come after it: the public key is the sixth that is not tagged.
  const fields = childrenOf(tbs, 'certificate')
  const publicKey = fields.filter(field => !isTagged(field))[5]
  if (publicKey === undefined) throw malformed('it has no public key')
  const tagged = fields.find(field => isTagged(field) && field.idBlock.tagNumber === EXTENSIONS_TAG)
  const list = tagged === undefined ? [] : childrenOf(childrenOf(tagged, 'extensions')[0], 'extensions')
  const keyAlgorithm = childrenOf(publicKey, 'public key')[0]
  return {
    publicKey: publicKey.valueBeforeDecodeView,
    hasExplicitCurve:
      oidOf(keyAlgorithm, 'public key') === EC_PUBLIC_KEY &&
      !(childrenOf(keyAlgorithm, 'public key')[1] instanceof asn1.ObjectIdentifier),
    signatureAlgorithm: oidOf(signatureAlgorithm, 'signature'),
    extensions: list.map(decodeExtension)
  }
}

export function encodeSignedKey({ publicKey, signature }: SignedKey): Uint8Array {
  return bytesOf(
    new asn1.Sequence({
      value: [publicKey, signature].map(bytes => new asn1.OctetString({ valueHex: bufferOf(bytes) }))
    })
  )
}

/** @throws InvalidPeerCertificateError */
export function decodeSignedKey(der: Uint8Array): SignedKey {
  const fields = childrenOf(parse(der, 'libp2p extension'), 'libp2p extension')
  if (fields.length !== 2) throw malformed(`its libp2p extension has ${fields.length} values, not 2`)
  return {
    publicKey: octetsOf(fields[0], 'libp2p extension'),
    signature: octetsOf(fields[1], 'libp2p extension')
  }
}

function encodeExtension({ oid, critical, value }: CertificateExtension): asn1.Sequence {
  const flag = critical ? [new asn1.Boolean({ value: true })] : []
  return new asn1.Sequence({
    value: [
      new asn1.ObjectIdentifier({ value: oid }),
      ...flag,
      new asn1.OctetString({ valueHex: bufferOf(value) })
    ]
  })
}

function decodeExtension(extension: asn1.BaseBlock): CertificateExtension {
  const fields = childrenOf(extension, 'extensions')
  const second = fields[1]
  return {
    oid: oidOf(extension, 'extensions'),
    critical: second instanceof asn1.Boolean && second.getValue(),
    value: octetsOf(fields.at(-1), 'extensions')
  }
}

function isTagged(block: asn1.BaseBlock): boolean {
  return block.idBlock.tagClass === 3
}

function childrenOf(block: asn1.BaseBlock | undefined, where: string): asn1.BaseBlock[] {
  if (!(block instanceof asn1.Constructed)) throw malformed(`a part of its ${where} is not there`)
  return block.valueBlock.value
}

/** The identifier that an algorithm or an extension begins with. */
function oidOf(block: asn1.BaseBlock | undefined, where: string): string {
  const [oid] = childrenOf(block, where)
  if (!(oid instanceof asn1.ObjectIdentifier)) throw malformed(`a part of its ${where} has no identifier`)
  return oid.getValue()
}

function octetsOf(block: asn1.BaseBlock | undefined, where: string): Uint8Array {
  // In pieces is BER; certificates are DER.
  if (!(block instanceof asn1.OctetString) || block.idBlock.isConstructed) {
    throw malformed(`a value of its ${where} is not a string of bytes`)
  }
  return block.valueBlock.valueHexView
}

/** @throws InvalidPeerCertificateError unless it is one value, no more and no less */
function parse(der: Uint8Array, what: string): asn1.BaseBlock {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw malformed(`its ${what} has ${der.length} bytes; more than ${MAX_CERTIFICATE_BYTES} are not decoded`)
  }
  let parsed: asn1.FromBerResult
  try {
    parsed = asn1.fromBER(der, { maxDepth: MAX_CERTIFICATE_DEPTH, maxNodes: MAX_CERTIFICATE_NODES })
  } catch (cause) {
    throw malformed(`its ${what} cannot be parsed`, cause)
  }
  const { offset, result } = parsed
  if (offset === -1) throw malformed(`its ${what} cannot be parsed: ${result.error}`)
  if (offset !== der.length) throw malformed(`there is more behind its ${what}`)
  return result
}

function malformed(detail: string, cause?: unknown): InvalidPeerCertificateError {
  return new InvalidPeerCertificateError('malformed', detail, cause)
}

function distinguishedName(): asn1.Sequence {
  return new asn1.Sequence({
    value: [
      new asn1.Set({
        value: [
          new asn1.Sequence({
            value: [new asn1.ObjectIdentifier({ value: COMMON_NAME }), new asn1.Utf8String({ value: NAME })]
          })
        ]
      })
    ]
  })
}

/** RFC 5280, section 4.1.2.5: two digits of the year until 2049. */
function time(date: Date): asn1.UTCTime {
  const valueDate = new Date(Math.floor(date.getTime() / 1000) * 1000)
  return valueDate.getUTCFullYear() < 2050
    ? new asn1.UTCTime({ valueDate })
    : new asn1.GeneralizedTime({ valueDate })
}

function bytesOf(block: asn1.BaseBlock): Uint8Array {
  return new Uint8Array(block.toBER())
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
