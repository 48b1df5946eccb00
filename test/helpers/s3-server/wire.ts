/** How an answer goes onto the wire, and what goes wrong there on purpose. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, byteLength } from './answer.ts'
import { slicePieces } from './buckets.ts'
import type { FaultKind } from './faults.ts'
import type { LoggedRequest } from './log.ts'

/** Thrown when the connection was broken or left hanging on purpose: there is nothing to answer any more. */
export class Hung extends Error {
  override readonly name = 'Hung'
}

/** Resets or stalls before the request is done, when that is the fault. @throws Hung */
export async function failRequest(incoming: IncomingMessage, fault: FaultKind | undefined): Promise<void> {
  if ((fault?.kind !== 'reset' && fault?.kind !== 'stall') || fault.at !== 'request') return
  let left = fault.afterBytes ?? 0
  if (left > 0) {
    for await (const piece of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      left -= piece.length
      if (left <= 0) break
    }
  }
  if (fault.kind === 'reset') incoming.socket.resetAndDestroy()
  else incoming.pause()
  throw new Hung()
}

export async function send(
  response: ServerResponse,
  answer: Answer,
  fault: FaultKind | undefined,
  logged: LoggedRequest
): Promise<void> {
  const breaks = fault?.kind === 'reset' || fault?.kind === 'stall'
  if (breaks && fault.at === 'answer') return hang(response, fault.kind)
  const body = fault?.kind === 'corrupt' ? corrupted(answer.body, fault.at) : answer.body
  const whole = byteLength(body)
  const end = fault?.kind === 'truncate' || (breaks && fault.at === 'body') ? (fault.afterBytes ?? 0) : whole
  const lies = fault?.kind === 'truncate' && fault.lie === true
  const length = answer.length ?? (lies ? Math.min(end, whole) : whole)
  response.writeHead(
    answer.status,
    answer.status === 204 ? answer.headers : { ...answer.headers, 'content-length': length }
  )
  response.flushHeaders()
  for (const piece of slicePieces(body, 0, end)) {
    if (!(await write(response, piece))) return
    logged.bytesOut += piece.length
  }
  if (breaks) return hang(response, fault.kind)
  if (end < whole && !lies) response.socket?.end()
  else response.end()
}

function hang(response: ServerResponse, kind: 'reset' | 'stall'): void {
  if (kind === 'reset') response.socket?.resetAndDestroy()
}

/** @returns whether anybody still listens */
async function write(response: ServerResponse, piece: Uint8Array): Promise<boolean> {
  if (response.destroyed) return false
  return await new Promise(resolve => {
    const closed = () => resolve(false)
    response.once('close', closed)
    response.write(piece, error => {
      response.off('close', closed)
      resolve(error == null)
    })
  })
}

/** The same bytes, one bit of them turned. */
export function corrupted(pieces: readonly Uint8Array[], at: number): Uint8Array[] {
  const bytes = Buffer.concat(pieces)
  if (at < bytes.length) bytes[at]! ^= 1
  return [bytes]
}
