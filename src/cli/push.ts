/** `blobs push`: sends what the home holds to another node. */
import type { Multiaddr } from '@multiformats/multiaddr'
import type { PushProgress, PushResult } from '../libp2p/index.ts'
import { formatOf } from '../node/local.ts'
import { InvalidPeerError, parsePeer } from '../node/provider-list.ts'
import { findTagOrHash } from '../node/tags.ts'
import { RefusedError } from '../protocol/errors.ts'
import { startClient } from './client-node.ts'
import type { PushFlags } from './commands/push.ts'
import type { Context } from './context.ts'
import { formatBytes, formatSeconds } from './format.ts'
import { openHome } from './open-home.ts'
import type { Output } from './output.ts'
import { ProgressView } from './progress.ts'

export async function push(
  context: Context,
  peer: string,
  what: string,
  flags: PushFlags
): Promise<undefined> {
  const { output, signal } = context
  const to = parsePeer(peer)
  const peerId = peerIdOf(to)
  await using opened = await openHome(context)
  const { store } = opened
  const found = await findTagOrHash(store, what)
  const { hash } = found
  const format = found.format ?? flags.format ?? (await formatOf(store, hash, { signal }))
  await using client = await startClient(context, opened)
  const { node } = client
  if (peerId === node.peerId) throw new InvalidPeerError(`"${to}" is this very node: name another one`)
  const view = new PushView(output)
  try {
    view.done(await node.blobs.push(hash, { to, format, signal, onProgress: view.update }))
  } catch (error) {
    if (error instanceof RefusedError && error.status.type === 'permission_denied') {
      view.end()
      output.note(`this node is ${node.peerId}: the other one has to list it in its config, [push] authorize`)
    }
    throw error
  } finally {
    view.end()
  }
}

/** Who gets the blobs has to be said: an address alone can be anybody's. */
function peerIdOf(addr: Multiaddr): string {
  const last = addr.getComponents().at(-1)
  if (last?.name === 'p2p' && last.value !== undefined) return last.value
  throw new InvalidPeerError(
    `"${addr}" does not say which node is meant: it has to end in /p2p/ and a peer id`
  )
}

/** Least time between two progress events, in ms. */
const EVENT_MS = 250

/** Shows a push: as events for scripts, as progress for people. */
class PushView {
  readonly #output: Output
  readonly #view: ProgressView
  readonly #startedAt = performance.now()
  #toldAt = -Infinity
  #untold: PushProgress | undefined

  constructor(output: Output) {
    this.#output = output
    this.#view = new ProgressView(output, 'pushing')
  }

  readonly update = (progress: PushProgress): void => {
    const { sent, had, total } = progress
    this.#view.update({ bytes: sent + had, total, had })
    this.#untold = progress
    if (performance.now() - this.#toldAt >= EVENT_MS) this.#tell()
  }

  /** Tells how far it has come, if that was not told yet, and takes the bar away. May be called again. */
  end(): void {
    this.#tell()
    this.#view.end()
  }

  done({ hash, format, size, sent, had, blobs, isConfirmed }: PushResult): void {
    this.end()
    const seconds = Math.round(performance.now() - this.#startedAt) / 1000
    const before = had > 0 && sent > 0 ? `, ${formatBytes(had)} had been there` : ''
    const how =
      sent > 0 ? `${formatBytes(sent)} in ${formatSeconds(seconds)}` : 'the other node has it all already'
    this.#output.note(`done: ${how}${before}`)
    if (!isConfirmed) this.#output.warn('the other node cannot confirm that it has stored everything')
    const event = { event: 'done', hash, format, size, sent, had, blobs, isConfirmed, seconds }
    this.#output.result(event, hash.toString())
  }

  #tell(): void {
    if (this.#untold === undefined) return
    this.#output.result({ event: 'progress', ...this.#untold })
    this.#toldAt = performance.now()
    this.#untold = undefined
  }
}
