/** What went wrong, in one line, with the number the program ends with. */
import { CommanderError } from 'commander'
import { ReceiveInterruptedError } from '../node/receive-interrupted.ts'
import { errorCode, toStoreError } from '../store/fs-errors.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { plural, quoted } from './format.ts'
import { InterruptedError } from './interrupted.ts'

export interface Failure {
  /** Which error it is, for scripts: `ERR_…`. */
  readonly code: string
  /** One line for people. */
  readonly message: string
  readonly exitCode: ExitCode
  /** Whether nobody has foreseen it: then its stack is of use. */
  readonly isUnexpected: boolean
}

const { failed, usage, notFound, unreachable, targetExists, full, badData, refused } = EXIT

/** Every error of ours by its code. */
export const EXIT_OF_CODE: Readonly<Record<string, ExitCode>> = {
  ERR_ALL_PROVIDERS_FAILED: unreachable,
  ERR_BAD_PUSH: failed,
  ERR_BLOB_DAMAGED: badData,
  ERR_BLOB_DELETED: failed,
  ERR_BLOB_HELD: failed,
  ERR_BLOB_NOT_FOUND: notFound,
  ERR_BLOB_TOO_LARGE: badData,
  ERR_BUSY: refused,
  ERR_COLLECTION_TOO_LARGE: failed,
  ERR_CORRUPT_SOURCE: badData,
  ERR_DATABASE_BUSY: failed,
  ERR_DATABASE_DAMAGED: badData,
  ERR_FILE_CHANGED: failed,
  ERR_FOREIGN_DATABASE: usage,
  ERR_FRAME_TOO_LARGE: unreachable,
  ERR_GARBAGE_UNKNOWN: failed,
  ERR_HANDLE_CLOSED: failed,
  ERR_HASH_MISMATCH: badData,
  ERR_HOME_EXISTS: usage,
  ERR_IDENTITY: failed,
  ERR_INCOMPLETE_SEQUENCE: failed,
  ERR_INVALID_CID: usage,
  ERR_INVALID_COLLECTION: badData,
  ERR_INVALID_CONFIG: usage,
  ERR_INVALID_HASH: usage,
  ERR_INVALID_HASH_OR_TICKET: usage,
  ERR_INVALID_HASH_SEQUENCE: badData,
  ERR_INVALID_LIMIT: usage,
  ERR_INVALID_MIGRATION: failed,
  ERR_INVALID_PEER: usage,
  ERR_INVALID_PEER_CERTIFICATE: unreachable,
  ERR_INVALID_PEER_ID: usage,
  ERR_INVALID_RANGES: failed,
  ERR_INVALID_RANGES_SEQ: failed,
  ERR_INVALID_S3_OPTIONS: usage,
  ERR_INVALID_TAG_NAME: usage,
  ERR_INVALID_TICKET: usage,
  ERR_IN_USE: failed,
  ERR_LEASE_LOST: failed,
  ERR_LISTEN: failed,
  ERR_MALFORMED: badData,
  ERR_MALFORMED_OBSERVE_ITEM: badData,
  ERR_MALFORMED_REQUEST: badData,
  ERR_MALFORMED_STATUS: badData,
  ERR_METADATA: badData,
  ERR_MIGRATION_CHANGED: failed,
  ERR_MIGRATION_ORDER: failed,
  ERR_MISSING_CHUNKS: notFound,
  ERR_NEWER_DATABASE: failed,
  ERR_NOISE_KEY: unreachable,
  ERR_NOISE_MESSAGE: unreachable,
  ERR_NOTHING_TO_SHARE: failed,
  ERR_NOT_AVAILABLE: notFound,
  ERR_NOT_A_COLLECTION: usage,
  ERR_NOT_A_HASH_SEQUENCE: badData,
  ERR_NOT_CONFIRMED: usage,
  ERR_NOT_SERVING: failed,
  ERR_NOT_TOLD: failed,
  ERR_NO_DATABASE: usage,
  ERR_NO_HOME: usage,
  ERR_NO_OBJECT_STORE: usage,
  ERR_NO_PROVIDER: usage,
  ERR_NO_SUCH_PATH: notFound,
  ERR_NO_SUCH_TAG: notFound,
  ERR_OBJECT_NOT_FOUND: failed,
  ERR_OBJECT_TOO_SHORT: badData,
  ERR_OTHER_STORE: usage,
  ERR_OUTPUT_CLOSED: EXIT.outputClosed,
  ERR_OWN_TICKET: usage,
  ERR_PARTIAL_MOVE: usage,
  ERR_PERMISSION_DENIED: failed,
  ERR_PROVIDER_UNREACHABLE: unreachable,
  ERR_PUSH_NOT_KEPT: refused,
  ERR_REFUSED: refused,
  ERR_REQUEST_TIMEOUT: unreachable,
  ERR_REQUEST_TOO_LONG: failed,
  ERR_SIZE_MISMATCH: badData,
  ERR_SLOW_PEER: unreachable,
  ERR_STORAGE: failed,
  ERR_STORAGE_ACCESS: refused,
  ERR_STORAGE_UNAVAILABLE: unreachable,
  ERR_STORE: failed,
  ERR_STORE_CLOSED: failed,
  ERR_STORE_FULL: full,
  ERR_STREAM_BUSY: failed,
  ERR_STREAM_ENDED: failed,
  ERR_STREAM_IDLE_TIMEOUT: unreachable,
  ERR_STREAM_NOT_READ: unreachable,
  ERR_STREAM_RESET: unreachable,
  ERR_TAG_NOT_FOUND: notFound,
  ERR_TARGET_EXISTS: targetExists,
  ERR_TLS_HANDSHAKE: unreachable,
  ERR_TRUNCATED: unreachable,
  ERR_UNEXPECTED_BYTES: unreachable,
  ERR_UNKNOWN_STATUS: badData,
  ERR_UNSAFE_NAME: badData,
  ERR_UNSUPPORTED_EXPORT_MODE: failed,
  ERR_UNSUPPORTED_NOISE: failed,
  ERR_USAGE: usage,
  ERR_WRONG_PEER: unreachable
}

/** Why a connection could not be made, as the operating system says it. */
const DIAL_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: the node has ended, or its address has changed',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'the host does not answer',
  ENOTFOUND: 'there is no host of this name',
  ECONNRESET: 'the connection was cut'
}

/** The same as libp2p says it. */
const LIBP2P_REASONS: readonly (readonly [error: RegExp, reason: string])[] = [
  [
    /^WrongPeerError|does not match expected remote identity|expected remote peer/,
    'another node listens there now'
  ],
  [/^(TimeoutError|AbortError)|aborted due to timeout|no answer within/, 'it does not answer'],
  [
    /^(EncryptionFailed|TlsHandshake|MuxerUnavailable|Invalid|UnexpectedEOF)/,
    'what listens there is no such node'
  ]
]

/** Explains an error. */
export function explain(thrown: unknown): Failure {
  const error = reasonOf(thrown)
  if (error instanceof ReceiveInterruptedError) {
    const why = explain(error.cause)
    const hint = `what has arrived is kept in ${quoted(error.partFolder)}: run the same again to go on`
    return { ...why, message: `${why.message}; ${hint}` }
  }
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
    return { code: 'ERR_USAGE', message, exitCode: usage, isUnexpected: false }
  }
  if (error instanceof InterruptedError) {
    const exitCode = error.signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
    return { code: error.code, message: error.message, exitCode, isUnexpected: false }
  }
  const known = toStoreError(error, 'it failed')
  const code = errorCode(known) ?? ''
  const exitCode = EXIT_OF_CODE[code]
  const message = known instanceof Error ? known.message : String(known)
  if (exitCode === undefined) {
    return {
      code: 'ERR_UNEXPECTED',
      message: `unexpected: ${oneLine(message)}`,
      exitCode: failed,
      isUnexpected: true
    }
  }
  if (code === 'ERR_ALL_PROVIDERS_FAILED') return explainAll(known, exitCode)
  return { code, message: oneLine(EXPLAIN[code]?.(known) ?? message), exitCode, isUnexpected: false }
}

/** `await using` hides why something failed behind that it could not be closed then either, which is but what came of it. */
function reasonOf(error: unknown): unknown {
  let reason = error
  while (isSuppressing(reason)) reason = reason.suppressed
  return reason
}

/** By its name: not every Node that we run on has the class. */
function isSuppressing(error: unknown): error is Error & { readonly suppressed: unknown } {
  return error instanceof Error && error.name === 'SuppressedError' && 'suppressed' in error
}

/** What is better said in other words than the error's own, which does not know what the user did. */
const EXPLAIN: Readonly<Record<string, (error: unknown) => string>> = {
  ERR_PROVIDER_UNREACHABLE: error => `the node cannot be reached: ${whyUnreachable(error)}`,
  ERR_STREAM_RESET: error => `the node has gone away, or has cut the transfer: ${messageOf(error)}`,
  ERR_TRUNCATED: error => `the node stopped sending before the end: ${messageOf(error)}`,
  ERR_HASH_MISMATCH: error => `the node sent wrong bytes, which were not kept: ${messageOf(error)}`
}

/** Several were asked: each is told with its reason, those that have the same together. The reason counts when all have the same. */
function explainAll(error: unknown, exitCode: ExitCode): Failure {
  const failures = error instanceof AggregateError ? error.errors.map(explain) : []
  const [first] = failures
  const isSame = failures.every(failure => failure.code === first?.code)
  const peers = error instanceof Error && 'peers' in error && Array.isArray(error.peers) ? error.peers : []
  const byReason = Map.groupBy(failures.keys(), i => failures[i]!.message)
  const reasons = Array.from(byReason, ([why, which]) => `${which.map(i => peers[i]).join(', ')}: ${why}`)
  return {
    code: isSame && first !== undefined ? first.code : 'ERR_ALL_PROVIDERS_FAILED',
    message: `none of ${plural(failures.length, 'node')} could give it: ${reasons.join('; ')}`,
    exitCode: isSame && first !== undefined ? first.exitCode : exitCode,
    isUnexpected: false
  }
}

/** Of a node that has several addresses, the reasons of all. */
function whyUnreachable(error: unknown): string {
  const reasons = Array.from(causesOf(error), dialReason).filter(reason => reason !== undefined)
  if (reasons.length > 0) return [...new Set(reasons)].join(', or ')
  return error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
}

function dialReason(error: unknown): string | undefined {
  const reason = DIAL_REASONS[errorCode(error) ?? '']
  if (reason !== undefined || !(error instanceof Error)) return reason
  const text = `${error.name}: ${error.message}`
  return LIBP2P_REASONS.find(([pattern]) => pattern.test(text))?.[1]
}

/** An error, those it came from, and those it is made of. */
function* causesOf(error: unknown, depth = 0): Generator<unknown> {
  if (depth > 8) return
  yield error
  if (error instanceof AggregateError) for (const inner of error.errors) yield* causesOf(inner, depth + 1)
  if (error instanceof Error && error.cause !== undefined) yield* causesOf(error.cause, depth + 1)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ')
}
