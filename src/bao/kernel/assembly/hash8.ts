/**
 * BLAKE3's compression of eight nodes at a time, as two sets (a, b) of four. A vector holds the same word of four nodes,
 * one per lane.
 *
 * Compiled twice: `WIDE` is given to the compiler. The wide form is for V8's `--experimental-wasm-revectorize`, which makes one vector of 256 bits of each two
 * of 128 when what is done with both is the same, from where they are stored side by side back to where they are loaded: for
 * set a and set b all the way. It knows shifts, but no swizzle of bytes. Without it that form is a tenth slower than the
 * narrow one, with it half as fast again.
 *
 * Why it has this form, as measured with Node 24 on an AMD EPYC (Zen 5):
 * - Two sets, because the operations of one wait for each other and the processor has room for both: one set is a quarter
 *   slower. Two of 256 bits, sixteen nodes, are no faster than one: there are not enough registers.
 * - The rounds loop, which keeps the code small: written out they are a tenth slower, and wide a tenth faster.
 * - Rotations by 16 and 8 are swizzles with the mask in a local: a shuffle, or a constant at each use, is slower.
 * - Additions go in the order of `add3`: the other one is up to 12 % slower.
 * - Compiled with -O1: -O3 makes it a fifth to a third slower.
 */

const BLOCK: u32 = 64;
const CV: u32 = 32;

// Flags of a compression (BLAKE3 specification, section 2.1).
export const CHUNK_START: u32 = 1;
export const CHUNK_END: u32 = 2;
export const PARENT: u32 = 4;
export const ROOT: u32 = 8;

// Memory. The compiler puts its own static data (the permutation) between --memoryBase and SCHEDULE.
/** 7 rounds x 16 u16: offset of each message word from WORDS, in the order in which the round uses them. */
const SCHEDULE: usize = 2048;
/** Message words of the current block: of each a vector of set a, and behind it one of set b. */
const WORDS: usize = 2560;
const SET_B: usize = 16;
/** Words of the chaining values, in the same way. */
const VALUES: usize = WORDS + 512;
/** First byte that this file does not use. */
export const HASH8_END: usize = VALUES + 256;

const PERMUTATION = memory.data<u8>([2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]);

writeSchedule();

function writeSchedule(): void {
  for (let i: usize = 0; i < 16; i++) {
    store<u16>(SCHEDULE + 2 * i, <u16>(32 * i));
  }
  for (let row = SCHEDULE; row < SCHEDULE + 6 * 32; row += 32) {
    for (let i: usize = 0; i < 16; i++) {
      store<u16>(row + 32 + 2 * i, load<u16>(row + 2 * <usize>load<u8>(PERMUTATION + i)));
    }
  }
}

/**
 * Hashes eight nodes of `blocks` whole blocks each, `stride` bytes apart, into the eight chaining values at `target`.
 *
 * @param lastBytes bytes that count in the last block
 * @param counterLow counter of the first node; that of each further one is `counterStep` larger
 * @param firstFlags flags of the first block only
 * @param lastFlags flags of the last block only
 * @param flags flags of every block
 */
export function hash8(
  source: usize, stride: usize, blocks: u32, lastBytes: u32,
  counterLow: u32, counterHigh: u32, counterStep: u32,
  firstFlags: u32, lastFlags: u32, flags: u32,
  target: usize
): void {
  // Masks of the narrow form in locals: as constants at each use they would be loaded each time.
  const by16 = i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  const by8 = i8x16(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);

  // A lane whose low word is below that of lane 0 has passed 2^32: its mask is -1, subtracting it carries.
  const low = i32x4.splat(counterLow);
  const high = i32x4.splat(counterHigh);
  const step = i32x4.splat(counterStep);
  const lowA = i32x4.add(low, i32x4.mul(step, i32x4(0, 1, 2, 3)));
  const lowB = i32x4.add(low, i32x4.mul(step, i32x4(4, 5, 6, 7)));
  const highA = i32x4.sub(high, i32x4.lt_u(lowA, low));
  const highB = i32x4.sub(high, i32x4.lt_u(lowB, low));

  const iv0 = i32x4.splat(0x6a09e667);
  const iv1 = i32x4.splat(0xbb67ae85);
  const iv2 = i32x4.splat(0x3c6ef372);
  const iv3 = i32x4.splat(0xa54ff53a);
  let ha0 = iv0;
  let hb0 = ha0;
  let ha1 = iv1;
  let hb1 = ha1;
  let ha2 = iv2;
  let hb2 = ha2;
  let ha3 = iv3;
  let hb3 = ha3;
  let ha4 = i32x4.splat(0x510e527f);
  let hb4 = ha4;
  let ha5 = i32x4.splat(0x9b05688c);
  let hb5 = ha5;
  let ha6 = i32x4.splat(0x1f83d9ab);
  let hb6 = ha6;
  let ha7 = i32x4.splat(0x5be0cd19);
  let hb7 = ha7;

  const last = blocks - 1;
  for (let block: u32 = 0; block < blocks; block++) {
    transposeBlocks(source, stride);
    source += BLOCK;

    let blockFlags = flags;
    let bytes = BLOCK;
    if (block == 0) blockFlags |= firstFlags;
    if (block == last) {
      blockFlags |= lastFlags;
      bytes = lastBytes;
    }

    let a0 = ha0;
    let b0 = hb0;
    let a1 = ha1;
    let b1 = hb1;
    let a2 = ha2;
    let b2 = hb2;
    let a3 = ha3;
    let b3 = hb3;
    let a4 = ha4;
    let b4 = hb4;
    let a5 = ha5;
    let b5 = hb5;
    let a6 = ha6;
    let b6 = hb6;
    let a7 = ha7;
    let b7 = hb7;
    let a8 = iv0;
    let b8 = iv0;
    let a9 = iv1;
    let b9 = iv1;
    let a10 = iv2;
    let b10 = iv2;
    let a11 = iv3;
    let b11 = iv3;
    let a12 = lowA;
    let b12 = lowB;
    let a13 = highA;
    let b13 = highB;
    let a14 = i32x4.splat(bytes);
    let b14 = a14;
    let a15 = i32x4.splat(blockFlags);
    let b15 = a15;

    for (let row = SCHEDULE; row < SCHEDULE + 7 * 32; row += 32) {
      let word: usize;

      word = load<u16>(row, 0);
      a0 = add3(a0, v128.load(word, WORDS), a4);
      b0 = add3(b0, v128.load(word, WORDS + SET_B), b4);
      a12 = rotate16(v128.xor(a12, a0), by16);
      b12 = rotate16(v128.xor(b12, b0), by16);
      a8 = i32x4.add(a8, a12);
      b8 = i32x4.add(b8, b12);
      a4 = rotate12(v128.xor(a4, a8));
      b4 = rotate12(v128.xor(b4, b8));
      word = load<u16>(row, 2);
      a0 = add3(a0, v128.load(word, WORDS), a4);
      b0 = add3(b0, v128.load(word, WORDS + SET_B), b4);
      a12 = rotate8(v128.xor(a12, a0), by8);
      b12 = rotate8(v128.xor(b12, b0), by8);
      a8 = i32x4.add(a8, a12);
      b8 = i32x4.add(b8, b12);
      a4 = rotate7(v128.xor(a4, a8));
      b4 = rotate7(v128.xor(b4, b8));

      word = load<u16>(row, 4);
      a1 = add3(a1, v128.load(word, WORDS), a5);
      b1 = add3(b1, v128.load(word, WORDS + SET_B), b5);
      a13 = rotate16(v128.xor(a13, a1), by16);
      b13 = rotate16(v128.xor(b13, b1), by16);
      a9 = i32x4.add(a9, a13);
      b9 = i32x4.add(b9, b13);
      a5 = rotate12(v128.xor(a5, a9));
      b5 = rotate12(v128.xor(b5, b9));
      word = load<u16>(row, 6);
      a1 = add3(a1, v128.load(word, WORDS), a5);
      b1 = add3(b1, v128.load(word, WORDS + SET_B), b5);
      a13 = rotate8(v128.xor(a13, a1), by8);
      b13 = rotate8(v128.xor(b13, b1), by8);
      a9 = i32x4.add(a9, a13);
      b9 = i32x4.add(b9, b13);
      a5 = rotate7(v128.xor(a5, a9));
      b5 = rotate7(v128.xor(b5, b9));

      word = load<u16>(row, 8);
      a2 = add3(a2, v128.load(word, WORDS), a6);
      b2 = add3(b2, v128.load(word, WORDS + SET_B), b6);
      a14 = rotate16(v128.xor(a14, a2), by16);
      b14 = rotate16(v128.xor(b14, b2), by16);
      a10 = i32x4.add(a10, a14);
      b10 = i32x4.add(b10, b14);
      a6 = rotate12(v128.xor(a6, a10));
      b6 = rotate12(v128.xor(b6, b10));
      word = load<u16>(row, 10);
      a2 = add3(a2, v128.load(word, WORDS), a6);
      b2 = add3(b2, v128.load(word, WORDS + SET_B), b6);
      a14 = rotate8(v128.xor(a14, a2), by8);
      b14 = rotate8(v128.xor(b14, b2), by8);
      a10 = i32x4.add(a10, a14);
      b10 = i32x4.add(b10, b14);
      a6 = rotate7(v128.xor(a6, a10));
      b6 = rotate7(v128.xor(b6, b10));

      word = load<u16>(row, 12);
      a3 = add3(a3, v128.load(word, WORDS), a7);
      b3 = add3(b3, v128.load(word, WORDS + SET_B), b7);
      a15 = rotate16(v128.xor(a15, a3), by16);
      b15 = rotate16(v128.xor(b15, b3), by16);
      a11 = i32x4.add(a11, a15);
      b11 = i32x4.add(b11, b15);
      a7 = rotate12(v128.xor(a7, a11));
      b7 = rotate12(v128.xor(b7, b11));
      word = load<u16>(row, 14);
      a3 = add3(a3, v128.load(word, WORDS), a7);
      b3 = add3(b3, v128.load(word, WORDS + SET_B), b7);
      a15 = rotate8(v128.xor(a15, a3), by8);
      b15 = rotate8(v128.xor(b15, b3), by8);
      a11 = i32x4.add(a11, a15);
      b11 = i32x4.add(b11, b15);
      a7 = rotate7(v128.xor(a7, a11));
      b7 = rotate7(v128.xor(b7, b11));

      word = load<u16>(row, 16);
      a0 = add3(a0, v128.load(word, WORDS), a5);
      b0 = add3(b0, v128.load(word, WORDS + SET_B), b5);
      a15 = rotate16(v128.xor(a15, a0), by16);
      b15 = rotate16(v128.xor(b15, b0), by16);
      a10 = i32x4.add(a10, a15);
      b10 = i32x4.add(b10, b15);
      a5 = rotate12(v128.xor(a5, a10));
      b5 = rotate12(v128.xor(b5, b10));
      word = load<u16>(row, 18);
      a0 = add3(a0, v128.load(word, WORDS), a5);
      b0 = add3(b0, v128.load(word, WORDS + SET_B), b5);
      a15 = rotate8(v128.xor(a15, a0), by8);
      b15 = rotate8(v128.xor(b15, b0), by8);
      a10 = i32x4.add(a10, a15);
      b10 = i32x4.add(b10, b15);
      a5 = rotate7(v128.xor(a5, a10));
      b5 = rotate7(v128.xor(b5, b10));

      word = load<u16>(row, 20);
      a1 = add3(a1, v128.load(word, WORDS), a6);
      b1 = add3(b1, v128.load(word, WORDS + SET_B), b6);
      a12 = rotate16(v128.xor(a12, a1), by16);
      b12 = rotate16(v128.xor(b12, b1), by16);
      a11 = i32x4.add(a11, a12);
      b11 = i32x4.add(b11, b12);
      a6 = rotate12(v128.xor(a6, a11));
      b6 = rotate12(v128.xor(b6, b11));
      word = load<u16>(row, 22);
      a1 = add3(a1, v128.load(word, WORDS), a6);
      b1 = add3(b1, v128.load(word, WORDS + SET_B), b6);
      a12 = rotate8(v128.xor(a12, a1), by8);
      b12 = rotate8(v128.xor(b12, b1), by8);
      a11 = i32x4.add(a11, a12);
      b11 = i32x4.add(b11, b12);
      a6 = rotate7(v128.xor(a6, a11));
      b6 = rotate7(v128.xor(b6, b11));

      word = load<u16>(row, 24);
      a2 = add3(a2, v128.load(word, WORDS), a7);
      b2 = add3(b2, v128.load(word, WORDS + SET_B), b7);
      a13 = rotate16(v128.xor(a13, a2), by16);
      b13 = rotate16(v128.xor(b13, b2), by16);
      a8 = i32x4.add(a8, a13);
      b8 = i32x4.add(b8, b13);
      a7 = rotate12(v128.xor(a7, a8));
      b7 = rotate12(v128.xor(b7, b8));
      word = load<u16>(row, 26);
      a2 = add3(a2, v128.load(word, WORDS), a7);
      b2 = add3(b2, v128.load(word, WORDS + SET_B), b7);
      a13 = rotate8(v128.xor(a13, a2), by8);
      b13 = rotate8(v128.xor(b13, b2), by8);
      a8 = i32x4.add(a8, a13);
      b8 = i32x4.add(b8, b13);
      a7 = rotate7(v128.xor(a7, a8));
      b7 = rotate7(v128.xor(b7, b8));

      word = load<u16>(row, 28);
      a3 = add3(a3, v128.load(word, WORDS), a4);
      b3 = add3(b3, v128.load(word, WORDS + SET_B), b4);
      a14 = rotate16(v128.xor(a14, a3), by16);
      b14 = rotate16(v128.xor(b14, b3), by16);
      a9 = i32x4.add(a9, a14);
      b9 = i32x4.add(b9, b14);
      a4 = rotate12(v128.xor(a4, a9));
      b4 = rotate12(v128.xor(b4, b9));
      word = load<u16>(row, 30);
      a3 = add3(a3, v128.load(word, WORDS), a4);
      b3 = add3(b3, v128.load(word, WORDS + SET_B), b4);
      a14 = rotate8(v128.xor(a14, a3), by8);
      b14 = rotate8(v128.xor(b14, b3), by8);
      a9 = i32x4.add(a9, a14);
      b9 = i32x4.add(b9, b14);
      a4 = rotate7(v128.xor(a4, a9));
      b4 = rotate7(v128.xor(b4, b9));
    }

    ha0 = v128.xor(a0, a8);
    hb0 = v128.xor(b0, b8);
    ha1 = v128.xor(a1, a9);
    hb1 = v128.xor(b1, b9);
    ha2 = v128.xor(a2, a10);
    hb2 = v128.xor(b2, b10);
    ha3 = v128.xor(a3, a11);
    hb3 = v128.xor(b3, b11);
    ha4 = v128.xor(a4, a12);
    hb4 = v128.xor(b4, b12);
    ha5 = v128.xor(a5, a13);
    hb5 = v128.xor(b5, b13);
    ha6 = v128.xor(a6, a14);
    hb6 = v128.xor(b6, b14);
    ha7 = v128.xor(a7, a15);
    hb7 = v128.xor(b7, b15);
  }
  v128.store(VALUES, ha0);
  v128.store(VALUES, hb0, SET_B);
  v128.store(VALUES, ha1, 32);
  v128.store(VALUES, hb1, 32 + SET_B);
  v128.store(VALUES, ha2, 64);
  v128.store(VALUES, hb2, 64 + SET_B);
  v128.store(VALUES, ha3, 96);
  v128.store(VALUES, hb3, 96 + SET_B);
  v128.store(VALUES, ha4, 128);
  v128.store(VALUES, hb4, 128 + SET_B);
  v128.store(VALUES, ha5, 160);
  v128.store(VALUES, hb5, 160 + SET_B);
  v128.store(VALUES, ha6, 192);
  v128.store(VALUES, hb6, 192 + SET_B);
  v128.store(VALUES, ha7, 224);
  v128.store(VALUES, hb7, 224 + SET_B);
  storeValues(VALUES, target);
  storeValues(VALUES + SET_B, target + 4 * CV);
}

@inline
function add3(x: v128, word: v128, y: v128): v128 {
  // In this order the load can start before the slower y is there.
  return i32x4.add(i32x4.add(x, word), y);
}

@inline
function rotate16(x: v128, mask: v128): v128 {
  if (WIDE) return v128.or(i32x4.shr_u(x, 16), i32x4.shl(x, 16));
  return i8x16.swizzle(x, mask);
}

@inline
function rotate8(x: v128, mask: v128): v128 {
  if (WIDE) return v128.or(i32x4.shr_u(x, 8), i32x4.shl(x, 24));
  return i8x16.swizzle(x, mask);
}

@inline
function rotate12(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}

@inline
function rotate7(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}

/** Eight blocks, `stride` bytes apart, to WORDS. */
@inline
function transposeBlocks(source: usize, stride: usize): void {
  transposeQuarter(source, stride, WORDS);
  transposeQuarter(source + 16, stride, WORDS + 128);
  transposeQuarter(source + 32, stride, WORDS + 256);
  transposeQuarter(source + 48, stride, WORDS + 384);
}

/** Four words of each of eight blocks. All is loaded before anything is stored: else they make no wide vectors. */
@inline
function transposeQuarter(source: usize, stride: usize, target: usize): void {
  const sourceB = source + 4 * stride;
  const a0 = v128.load(source);
  const a1 = v128.load(source + stride);
  const a2 = v128.load(source + 2 * stride);
  const a3 = v128.load(source + 3 * stride);
  const b0 = v128.load(sourceB);
  const b1 = v128.load(sourceB + stride);
  const b2 = v128.load(sourceB + 2 * stride);
  const b3 = v128.load(sourceB + 3 * stride);
  const lowA01 = v128.shuffle<i32>(a0, a1, 0, 4, 1, 5);
  const lowB01 = v128.shuffle<i32>(b0, b1, 0, 4, 1, 5);
  const highA01 = v128.shuffle<i32>(a0, a1, 2, 6, 3, 7);
  const highB01 = v128.shuffle<i32>(b0, b1, 2, 6, 3, 7);
  const lowA23 = v128.shuffle<i32>(a2, a3, 0, 4, 1, 5);
  const lowB23 = v128.shuffle<i32>(b2, b3, 0, 4, 1, 5);
  const highA23 = v128.shuffle<i32>(a2, a3, 2, 6, 3, 7);
  const highB23 = v128.shuffle<i32>(b2, b3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<i64>(lowA01, lowA23, 0, 2));
  v128.store(target, v128.shuffle<i64>(lowB01, lowB23, 0, 2), SET_B);
  v128.store(target, v128.shuffle<i64>(lowA01, lowA23, 1, 3), 32);
  v128.store(target, v128.shuffle<i64>(lowB01, lowB23, 1, 3), 32 + SET_B);
  v128.store(target, v128.shuffle<i64>(highA01, highA23, 0, 2), 64);
  v128.store(target, v128.shuffle<i64>(highB01, highB23, 0, 2), 64 + SET_B);
  v128.store(target, v128.shuffle<i64>(highA01, highA23, 1, 3), 96);
  v128.store(target, v128.shuffle<i64>(highB01, highB23, 1, 3), 96 + SET_B);
}

/** Four chaining values from `source`, one of the sets in VALUES, to `target`. */
@inline
function storeValues(source: usize, target: usize): void {
  storeTransposed(
    v128.load(source), v128.load(source, 32), v128.load(source, 64), v128.load(source, 96), target, CV
  );
  storeTransposed(
    v128.load(source, 128), v128.load(source, 160), v128.load(source, 192), v128.load(source, 224), target + 16, CV
  );
}

/** Stores a matrix of 4 x 4 words, mirrored at its diagonal; the rows stored lie `stride` bytes apart. */
@inline
function storeTransposed(row0: v128, row1: v128, row2: v128, row3: v128, target: usize, stride: usize): void {
  const low01 = v128.shuffle<i32>(row0, row1, 0, 4, 1, 5);
  const high01 = v128.shuffle<i32>(row0, row1, 2, 6, 3, 7);
  const low23 = v128.shuffle<i32>(row2, row3, 0, 4, 1, 5);
  const high23 = v128.shuffle<i32>(row2, row3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<i64>(low01, low23, 0, 2));
  v128.store(target + stride, v128.shuffle<i64>(low01, low23, 1, 3));
  v128.store(target + 2 * stride, v128.shuffle<i64>(high01, high23, 0, 2));
  v128.store(target + 3 * stride, v128.shuffle<i64>(high01, high23, 1, 3));
}
