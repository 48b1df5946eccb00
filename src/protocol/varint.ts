/** Variable-length numbers: unsigned LEB128 of at most 64 bits (protocol/README.md, "Numbers"). */

/** Bytes of the longest varint. */
export const MAX_VARINT_BYTES = 10

/** The largest number that a varint carries: 2^64 - 1. */
export const MAX_U64 = 0xffff_ffff_ffff_ffffn

/** Bytes of a varint that surely fit a JS number: 7 * 7 = 49 bits. */
const NUMBER_BYTES = 7

/**
 * Where the varint that starts at `start` ends.
 *
 * @returns the offset behind its last byte; 'truncated' when the bytes end within it; 'overflow' when it does not fit 64 bits
 */
export function varintEnd(bytes: Uint8Array, start: number): number | 'truncated' | 'overflow' {
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) {
      return 'truncated'
    }
    if (byte < 0x80) {
      return i === MAX_VARINT_BYTES - 1 && byte > 1 ? 'overflow' : start + i + 1
    }
  }
  return 'overflow'
}

/** The number between `start` and the `end` that {@link varintEnd} returned for it. */
export function varintValue(bytes: Uint8Array, start: number, end: number): bigint {
  if (end - start <= NUMBER_BYTES) {
    let value = 0
    for (let i = end - 1; i >= start; i--) {
      value = value * 128 + (bytes[i]! & 0x7f)
    }
    return BigInt(value)
  }
  let value = 0n
  for (let i = end - 1; i >= start; i--) {
    value = (value << 7n) | BigInt(bytes[i]! & 0x7f)
  }
  return value
}

/** Bytes of the shortest varint for a number. */
export function varintLength(value: bigint | number): number {
  let length = 1
  for (let rest = BigInt(value) >> 7n; rest > 0n; rest >>= 7n) {
    length++
  }
  return length
}

/**
 * Writes the shortest varint; `out` must have room for {@link varintLength} bytes.
 *
 * @returns the offset behind it
 * @throws RangeError for a number outside 0..2^64-1
 */
export function writeVarint(value: bigint | number, out: Uint8Array, offset: number): number {
  let rest = BigInt(value)
  if (rest < 0n || rest > MAX_U64) {
    throw new RangeError(`${value} is outside 0..${MAX_U64} and has no varint`)
  }
  for (; rest > 0x7fn; rest >>= 7n) {
    out[offset++] = Number(rest & 0x7fn) | 0x80
  }
  out[offset++] = Number(rest)
  return offset
}
