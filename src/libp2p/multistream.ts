/** The lines by which the two sides of a stream agree on its protocol (multistream-select). */

export const MULTISTREAM = '/multistream/1.0.0'

/** With its length in front, for which one byte is enough: names are below 127 bytes. */
export function multistreamLine(name: string): Uint8Array {
  const line = new TextEncoder().encode(`${name}\n`)
  return Uint8Array.of(line.length, ...line)
}
