/** Copies out of a page. */

/**
 * `set` reads shared memory word by word, since others could write to it meanwhile; Node's `copy` reads it as any other, in two thirds of
 * the time. Into shared memory `set` is the faster one.
 */
const { copy } = globalThis.Buffer?.prototype ?? {}

/** Copies bytes `from` to `to` of a page to `target`, from `at` on. */
export const copyOut: (page: Uint8Array, from: number, to: number, target: Uint8Array, at: number) => void =
  copy === undefined
    ? (page, from, to, target, at) => target.set(page.subarray(from, to), at)
    : (page, from, to, target, at) => {
        copy.call(page, target, at, from, to)
      }
