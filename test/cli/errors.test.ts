import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { EXIT_OF_CODE, explain } from '../../src/cli/errors.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { InterruptedError } from '../../src/cli/interrupted.ts'
import { EMPTY_HASH } from '../../src/hash.ts'
import { AllProvidersFailedError, ProviderUnreachableError } from '../../src/libp2p/index.ts'
import { ReceiveInterruptedError } from '../../src/node/receive-interrupted.ts'
import { NotAvailableError } from '../../src/protocol/errors.ts'

const PEER = '12D3KooWEkegP3JMg9p2bKoCJdye51DMswJkn3v3e8swBGc6JP31'
const SRC = resolve(import.meta.dirname, '../../src')

/** Codes of errors that are always the reason of another one, or are turned into something else. */
const NEVER_SHOWN = ['ERR_HELPER_GONE', 'ERR_INTERRUPTED', 'ERR_RECEIVE_INTERRUPTED', 'ERR_UNEXPECTED']

function codesInSources(): string[] {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
  const declared = files.flatMap(name =>
    Array.from(
      readFileSync(join(SRC, name), 'utf8').matchAll(/\bcode(?:: string)? = '(ERR_[A-Z_]+)'/g),
      ([, code]) => code!
    )
  )
  return [...new Set(declared)].sort()
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: something, write`), { code })
}

describe('an error', () => {
  it('of ours, any that there is, is known and has an exit code', () => {
    const codes = codesInSources().filter(code => !NEVER_SHOWN.includes(code))
    expect(codes.length).toBeGreaterThan(40)
    expect(codes.filter(code => EXIT_OF_CODE[code] === undefined)).toEqual([])
  })

  it('of a full disk is told as such, wherever it comes from', () => {
    for (const code of ['ENOSPC', 'EDQUOT']) {
      expect(explain(systemError(code))).toMatchObject({ code: 'ERR_STORE_FULL', exitCode: EXIT.full })
    }
    expect(explain(systemError('ENOSPC')).message).toContain('the disk is full')
  })

  it('that has kept something from being closed, too, is told as what it was', async () => {
    const failing = async (): Promise<void> => {
      await using _node = { [Symbol.asyncDispose]: () => Promise.reject(new Error('not closed')) }
      await using _store = { [Symbol.asyncDispose]: () => Promise.reject(new Error('not closed')) }
      throw systemError('ENOSPC')
    }
    const error = await failing().catch((error: unknown) => error)
    expect(explain(error)).toMatchObject({ code: 'ERR_STORE_FULL', exitCode: EXIT.full, isUnexpected: false })
  })

  it('of the system is explained, without its words for programmers', () => {
    const { message, isUnexpected } = explain(systemError('EACCES'))
    expect(message).toContain('permission denied')
    expect(isUnexpected).toBe(false)
  })

  it.each([
    ['TimeoutError', 'The operation was aborted due to timeout', /it does not answer/],
    [
      'EncryptionFailedError',
      'Payload identity key X does not match expected remote identity key Y',
      /another node/
    ],
    ['WrongPeerError', 'dialled peer X, but Y answers at this address', /another node/],
    ['TlsHandshakeError', 'TLS handshake failed: wrong version number', /what listens there is no such node/],
    ['EncryptionFailedError', 'Missing newline', /what listens there is no such node/]
  ])('of dialling is told in words: %s, %s', (name, text, message) => {
    const cause = Object.assign(new Error(text), { name })
    expect(explain(new ProviderUnreachableError([], cause)).message).toMatch(message)
  })

  it('of dialling several addresses tells the reason of each once', () => {
    const causes = ['ECONNREFUSED', 'EHOSTUNREACH', 'ECONNREFUSED'].map(systemError)
    const { message } = explain(new ProviderUnreachableError([], new AggregateError(causes, 'all failed')))
    expect(message).toMatch(
      /^the node cannot be reached: nothing listens there.*, or the host cannot be reached$/
    )
    expect(message.match(/nothing listens/g)).toHaveLength(1)
  })

  it('that nobody has foreseen is told as such', () => {
    expect(explain(new TypeError('x is not a function\n    at y'))).toEqual({
      code: 'ERR_UNEXPECTED',
      message: 'unexpected: x is not a function at y',
      exitCode: EXIT.failed,
      isUnexpected: true
    })
    expect(explain('a text').message).toBe('unexpected: a text')
  })

  it('that ends a transfer says where the part is that has come', () => {
    const error = new ReceiveInterruptedError('/tmp/my part', new InterruptedError('SIGTERM'))
    expect(explain(error)).toMatchObject({ code: 'ERR_INTERRUPTED', exitCode: EXIT.terminated })
    expect(explain(error).message).toContain("kept in '/tmp/my part': run the same again")
  })

  it('of several nodes names each with its reason, and counts as theirs if they agree', () => {
    const refused = new ProviderUnreachableError(
      [],
      new AggregateError([systemError('ECONNREFUSED')], 'all failed')
    )
    const lacking = new NotAvailableError(EMPTY_HASH, 0)
    const [one, other] = [multiaddr(`/ip4/192.0.2.1/tcp/1/p2p/${PEER}`), multiaddr('/ip4/192.0.2.2/tcp/2')]
    const of = (first: Error, second: Error) =>
      explain(
        new AllProvidersFailedError(EMPTY_HASH, [
          { provider: [one], error: first },
          { provider: [other], error: second }
        ])
      )
    expect(of(refused, refused)).toMatchObject({
      code: 'ERR_PROVIDER_UNREACHABLE',
      exitCode: EXIT.unreachable,
      message: expect.stringMatching(
        new RegExp(
          `^none of 2 nodes could give it: ${PEER}, ${other}: the node [^;]* nothing listens there[^;]*$`
        )
      )
    })
    expect(of(lacking, lacking)).toMatchObject({ code: 'ERR_NOT_AVAILABLE', exitCode: EXIT.notFound })
    expect(of(refused, lacking)).toMatchObject({
      code: 'ERR_ALL_PROVIDERS_FAILED',
      exitCode: EXIT.unreachable
    })
    expect(of(refused, lacking).message).toMatch(
      new RegExp(`: ${PEER}: .*nothing listens.*; ${other}: .*does not have blob`)
    )
  })
})
