/**
 * The tree and the protocol on one thread, without network and disk: building an outboard, encoding, decoding, and a whole
 * response from `respond` into `receive`; next to the bare kernel.
 *
 *   node bench/tree.ts [WORD…]     only trials whose names contain one of the words
 */
import {
  ChunkRanges,
  Decoder,
  encode,
  hashBytes,
  kernel,
  OutboardBuilder,
  RUN_BYTES
} from '../dist/bao/index.js'
import { RangesSeq } from '../dist/protocol/ranges-seq.js'
import { receive } from '../dist/protocol/receive.js'
import { encodeRequest } from '../dist/protocol/request.js'
import { respond } from '../dist/protocol/respond.js'
import { MemoryStore } from '../dist/store/memory/index.js'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { runAlternating, selectNamed, type Trial, toTable } from './lib/trial.ts'

const BYTES = 256 * 1024 * 1024

const data = new Uint8Array(BYTES)
const words = new Uint32Array(data.buffer)
for (let i = 0, state = 1; i < words.length; i++) {
  state = (Math.imul(state, 1664525) + 1013904223) | 0
  words[i] = state
}
const { hash, outboard } = hashBytes(data)
const source = {
  size: BYTES,
  readData: async (offset: number, target: Uint8Array) =>
    target.set(data.subarray(offset, offset + target.length)),
  readOutboard: async (offset: number, target: Uint8Array) =>
    target.set(outboard.subarray(offset, offset + target.length))
}
const encoded = Buffer.concat(await Array.fromAsync(encode(hash, source, ChunkRanges.all)))
const store = new MemoryStore()
await store.addBytes(data)

const trials: Trial[] = [
  {
    name: 'kernel',
    bytes: BYTES,
    run: () => {
      const cv = new Uint8Array(32)
      for (let at = 0; at < BYTES; at += RUN_BYTES) {
        kernel.subtree(data.subarray(at, at + RUN_BYTES), at / 1024, false, cv)
      }
    }
  },
  {
    name: 'outboard',
    bytes: BYTES,
    run: () => {
      const builder = new OutboardBuilder(() => undefined)
      for (let at = 0; at < BYTES; at += RUN_BYTES) builder.push(data.subarray(at, at + RUN_BYTES))
      if (!builder.finish().hash.equals(hash)) throw new Error('wrong hash')
    }
  },
  {
    name: 'encode',
    bytes: BYTES,
    run: async () => {
      let bytes = 0
      for await (const piece of encode(hash, source, ChunkRanges.all)) bytes += piece.length
      if (bytes !== encoded.length) throw new Error('wrong length')
    }
  },
  {
    name: 'decode',
    bytes: BYTES,
    run: () => {
      const decoder = new Decoder(hash, BYTES, ChunkRanges.all)
      for (let at = 0; !decoder.isDone; ) {
        const { consumed, error } = decoder.decode(encoded.subarray(at, at + RUN_BYTES))
        if (error !== undefined) throw error
        at += consumed
      }
    }
  },
  {
    name: 'respond and receive',
    bytes: BYTES,
    run: async () => {
      const request = { type: 'get', hash, ranges: RangesSeq.blob(ChunkRanges.all) } as const
      const response = respond([encodeRequest(request)], store)
      const nowhere = { write: async () => undefined, close: async () => undefined }
      const sink = { open: async () => nowhere, links: () => Promise.reject(new Error('no children')) }
      for await (const _ of receive(request, response, sink));
    }
  }
]

console.log(`${describeMachine()}; ${describeLoad()}; ${BYTES / 2 ** 20} MiB, kernel ${kernel.name}`)
console.log(toTable(await runAlternating(selectNamed(trials, process.argv.slice(2))), 'kernel'))
