/** Memory that begins at a page of the system's, which no other buffer of JavaScript is sure to. */

/** WebAssembly's unit of memory. */
const WASM_PAGE_BYTES = 64 * 1024

/** What {@link alignedBuffer} has made. */
const aligned = new WeakSet<ArrayBufferLike>()

/**
 * Memory for buffers that are used again. Files can be written from it, and read into it, past the system's cache. Where WebAssembly is
 * forbidden, or has no room for as many memories, it is memory as any other.
 */
export function alignedBuffer(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    const { buffer } = new WebAssembly.Memory({ initial: Math.ceil(bytes / WASM_PAGE_BYTES) })
    aligned.add(buffer)
    return new Uint8Array(buffer, 0, bytes)
  } catch {
    return new Uint8Array(bytes)
  }
}

/** Whether bytes are known to begin at a multiple of `alignment`, at most the system's page. */
export function isAligned({ buffer, byteOffset }: Uint8Array, alignment: number): boolean {
  return byteOffset % alignment === 0 && aligned.has(buffer)
}
