/**
 * BLAKE3 chaining values with WebAssembly SIMD. Language: AssemblyScript; `../build.js` compiles it, `../wasm.ts` wraps it.
 *
 * Everything goes through one function, `hash8`: eight nodes at a time, as two sets (a, b) of four. A vector holds the
 * same word of four nodes, one per lane. Two sets, because the operations of one wait for each other; taking turns, the
 * two fill the processor's vector units. Why the code has this exact form (the loop over the rounds, the swizzles, the
 * order of the additions) is in bench/README.md: each was measured, and the compiler must run at -O1.
 *
 * Memory is laid out by hand and never grows, so views of it stay attached. No argument is checked here: `../check.ts`
 * does that before.
 */

// Sizes in bytes, and counts; the same as in ../../constants.ts and ../kernel.ts.
const BLOCK: u32 = 64;
const CHUNK: u32 = 1024;
const GROUP: u32 = 16384;
const CV: u32 = 32;
const PAIR: u32 = 64;
const LANES: u32 = 8;
const GROUP_CHUNKS: u32 = 16;
const GROUP_LEVELS: u32 = 4;
const RUN_CHUNKS: u32 = 1024;
const RUN_GROUPS: u32 = 64;
const MAX_JOBS: u32 = 2048;
const MAX_INPUT: u32 = 1024 * 1024 + 128 * 1024;
const CARRY_BYTES: u32 = 64 * CV;

// Flags of a compression (BLAKE3 specification, section 2.1).
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;

// A job: its bytes, and the offsets of its words in bytes.
const JOB: u32 = 6 * 4;
const JOB_FLAGS: usize = 0;
const JOB_OFFSET: usize = 4;
const JOB_LENGTH: usize = 8;
const JOB_CHUNK_LOW: usize = 12;
const JOB_CHUNK_HIGH: usize = 16;
const JOB_EXPECTED: usize = 20;
const FLAG_PARENT: u32 = 1;
const FLAG_ROOT: u32 = 2;

// Memory. The compiler puts its own static data (the permutation) between --memoryBase and SCHEDULE.
/** 7 rounds x 16 u16: offset of each message word in WORDS_A and WORDS_B, in the order in which the round uses them. */
const SCHEDULE: usize = 2048;
/** Message words of the current block, one vector each: 16 of set a, then 16 of set b. */
const WORDS_A: usize = 2560;
const WORDS_B: usize = WORDS_A + 256;
/** Chaining values between blocks, one vector per word: 8 of set a, then 8 of set b. */
const STATE_A: usize = WORDS_B + 256;
const STATE_B: usize = STATE_A + 128;
/** The last chunk, if it is short, padded with zeros. */
const TAIL: usize = 4096;
/** Job numbers (u32) of the parents in STAGED, and of the leaves that wait for `checkLeaves`. */
const STAGED_JOBS: usize = TAIL + CHUNK;
const LEAF_JOBS: usize = STAGED_JOBS + LANES * 4;
/** Up to eight pairs that lay scattered in the input. */
const STAGED: usize = 6144;
/** Chaining values of one level of the tree. Behind the last one is room for what idle lanes read and write. */
const CVS: usize = 8192;
/** Results of `subtree`, in pre-order. */
export const PAIRS: usize = CVS + RUN_CHUNKS * CV + LANES * PAIR;
export const JOBS: usize = PAIRS + RUN_GROUPS * PAIR;
export const CARRY: usize = JOBS + MAX_JOBS * JOB;
/** Directly behind CARRY, so that a job's `expected` is an offset from CARRY in both cases. */
export const INPUT: usize = CARRY + CARRY_BYTES;
/** First byte not used: idle lanes read up to seven chunks behind the input. */
const END: usize = INPUT + MAX_INPUT + (LANES - 1) * CHUNK;

/** Where `subtree` and `parent` leave their result. */
export const RESULT: usize = CVS;
/** Where `parent` finds its pair. */
export const PARENT_PAIR: usize = STAGED;

const PERMUTATION = memory.data<u8>([2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]);

if (END > (<usize>memory.size() << 16)) unreachable();
writeSchedule();

function writeSchedule(): void {
  for (let i: usize = 0; i < 16; i++) {
    store<u16>(SCHEDULE + 2 * i, <u16>(16 * i));
  }
  for (let row = SCHEDULE; row < SCHEDULE + 6 * 32; row += 32) {
    for (let i: usize = 0; i < 16; i++) {
      store<u16>(row + 32 + 2 * i, load<u16>(row + 2 * <usize>load<u8>(PERMUTATION + i)));
    }
  }
}

/**
 * Checks the jobs at JOBS against CARRY and INPUT.
 *
 * Jobs of one kind are gathered and hashed together, so they are not done in order; `good` is the first bad one so far,
 * and jobs behind it no longer matter.
 *
 * @returns how many jobs were good before the first bad one
 */
export function verify(count: u32): u32 {
  let good = count;
  let staged: u32 = 0;
  let leaves: u32 = 0;
  for (let i: u32 = 0; i < good; i++) {
    const job = JOBS + i * JOB;
    const flags = load<u32>(job, JOB_FLAGS);
    const source = INPUT + load<u32>(job, JOB_OFFSET);
    const length = load<u32>(job, JOB_LENGTH);
    const isRoot = (flags & FLAG_ROOT) != 0;
    if ((flags & FLAG_PARENT) != 0) {
      if (isRoot) {
        hashParents(source, 0, 1, ROOT);
        good = compare(i, CVS, good);
        continue;
      }
      memory.copy(STAGED + staged * PAIR, source, PAIR);
      store<u32>(STAGED_JOBS + staged * 4, i);
      if (++staged == LANES) {
        good = checkStaged(staged, good);
        staged = 0;
      }
    } else if (length == GROUP && !isRoot) {
      store<u32>(LEAF_JOBS + leaves * 4, i);
      if (++leaves == RUN_GROUPS) {
        good = checkLeaves(leaves, good);
        leaves = 0;
      }
    } else {
      hashTree(source, length, load<u32>(job, JOB_CHUNK_LOW), load<u32>(job, JOB_CHUNK_HIGH), isRoot, false);
      good = compare(i, CVS, good);
    }
  }
  good = checkStaged(staged, good);
  return checkLeaves(leaves, good);
}

/** Hashes the `count` parents in STAGED, at most eight. */
function checkStaged(count: u32, good: u32): u32 {
  hashParents(STAGED, PAIR, count, 0);
  for (let i: u32 = 0; i < count; i++) {
    good = compare(load<u32>(STAGED_JOBS + i * 4), CVS + i * CV, good);
  }
  return good;
}

/** Hashes the `count` leaves in LEAF_JOBS, all of one group, at most 64: first all chunks, then level by level. */
function checkLeaves(count: u32, good: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const job = JOBS + load<u32>(LEAF_JOBS + i * 4) * JOB;
    hashChunks(
      INPUT + load<u32>(job, JOB_OFFSET),
      GROUP_CHUNKS,
      load<u32>(job, JOB_CHUNK_LOW),
      load<u32>(job, JOB_CHUNK_HIGH),
      0,
      CVS + i * GROUP_CHUNKS * CV
    );
  }
  for (let pairs = (count * GROUP_CHUNKS) >> 1; pairs >= count && pairs > 0; pairs >>= 1) {
    hashParents(CVS, PAIR, pairs, 0);
  }
  for (let i: u32 = 0; i < count; i++) {
    good = compare(load<u32>(LEAF_JOBS + i * 4), CVS + i * CV, good);
  }
  return good;
}

/** @returns the smaller of `good` and, if the chaining value at `computed` is not the one it expects, `job` */
function compare(job: u32, computed: usize, good: u32): u32 {
  const expected = CARRY + load<u32>(JOBS + job * JOB, JOB_EXPECTED);
  const difference = v128.or(
    v128.xor(v128.load(computed), v128.load(expected)),
    v128.xor(v128.load(computed, 16), v128.load(expected, 16))
  );
  return v128.any_true(difference) ? min(job, good) : good;
}

/** Hashes the subtree of `length` bytes at INPUT into RESULT; with `withPairs`, leaves its pairs at PAIRS. */
export function subtree(length: u32, chunkLow: u32, chunkHigh: u32, isRoot: bool, withPairs: bool): void {
  hashTree(INPUT, length, chunkLow, chunkHigh, isRoot, withPairs);
}

/** Hashes the pair at PARENT_PAIR into RESULT. */
export function parent(isRoot: bool): void {
  hashParents(PARENT_PAIR, 0, 1, isRoot ? ROOT : 0);
}

/**
 * Hashes a subtree into the first of CVS: all chunks, then level by level; the odd one out goes up as it is, which
 * gives BLAKE3's tree (its left subtrees are always full).
 */
function hashTree(source: usize, length: u32, chunkLow: u32, chunkHigh: u32, isRoot: bool, withPairs: bool): void {
  let count = max<u32>(1, (length + CHUNK - 1) / CHUNK);
  hashLevel0(source, length, count, chunkLow, chunkHigh, isRoot && count == 1 ? ROOT : 0);
  const groups = (count + GROUP_CHUNKS - 1) / GROUP_CHUNKS;
  for (let level: u32 = 0; count > 1; level++) {
    const pairs = count >> 1;
    if (withPairs && level >= GROUP_LEVELS) {
      writePairs(pairs, level - GROUP_LEVELS, groups);
    }
    // Read before hashing: idle lanes write behind the last parent.
    const odd = CVS + (count - 1) * CV;
    const odd0 = v128.load(odd);
    const odd1 = v128.load(odd, 16);
    hashParents(CVS, PAIR, pairs, isRoot && count == 2 ? ROOT : 0);
    if ((count & 1) != 0) {
      v128.store(CVS + pairs * CV, odd0);
      v128.store(CVS + pairs * CV, odd1, 16);
    }
    count = (count + 1) >> 1;
  }
}

/** Hashes all `count` chunks of `length` bytes into CVS. */
function hashLevel0(source: usize, length: u32, count: u32, chunkLow: u32, chunkHigh: u32, rootFlag: u32): void {
  const whole = length / CHUNK;
  hashChunks(source, whole, chunkLow, chunkHigh, rootFlag, CVS);
  if (whole == count) {
    return;
  }
  const rest = length % CHUNK;
  memory.copy(TAIL, source + whole * CHUNK, rest);
  memory.fill(TAIL + rest, 0, CHUNK - rest);
  const blocks = max<u32>(1, (rest + BLOCK - 1) / BLOCK);
  const chunk = (<u64>chunkHigh << 32 | chunkLow) + whole;
  // Stride and counter step are 0: all lanes hash the same chunk.
  hash8(
    TAIL, 0, blocks, rest - (blocks - 1) * BLOCK,
    <u32>chunk, <u32>(chunk >> 32), 0,
    CHUNK_START, CHUNK_END | rootFlag, 0,
    CVS + whole * CV
  );
}

/** Hashes `count` whole chunks that follow each other. */
function hashChunks(source: usize, count: u32, chunkLow: u32, chunkHigh: u32, rootFlag: u32, target: usize): void {
  let chunk = <u64>chunkHigh << 32 | chunkLow;
  for (let done: u32 = 0; done < count; done += LANES) {
    hash8(
      source + done * CHUNK, CHUNK, CHUNK / BLOCK, BLOCK,
      <u32>chunk, <u32>(chunk >> 32), 1,
      CHUNK_START, CHUNK_END | rootFlag, 0,
      target + done * CV
    );
    chunk += LANES;
  }
}

/**
 * Hashes `count` pairs, `stride` bytes apart, into CVS. The pairs may be in CVS themselves: a batch is read before its
 * results are written, and those take half the room.
 */
function hashParents(source: usize, stride: u32, count: u32, rootFlag: u32): void {
  for (let done: u32 = 0; done < count; done += LANES) {
    hash8(source + done * stride, stride, 1, BLOCK, 0, 0, 0, 0, 0, PARENT | rootFlag, CVS + done * CV);
  }
}

/**
 * Copies the first `count` pairs of CVS, whose members cover `2^level` groups each, to their places in PAIRS.
 *
 * Before a node in pre-order come as many nodes as there are groups left of it (all nodes whose left half ends at or
 * before its start), and those of its ancestors in whose left half it lies.
 */
function writePairs(count: u32, level: u32, groups: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const start = i << (level + 1);
    let place = start;
    for (let half: u32 = 2 << level; half < groups; half <<= 1) {
      const isLeft = (start & half) == 0;
      const middle = (start & ~(half - 1)) + half;
      if (isLeft && middle < groups) place++;
    }
    memory.copy(PAIRS + place * PAIR, CVS + i * PAIR, PAIR);
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
function hash8(
  source: usize, stride: usize, blocks: u32, lastBytes: u32,
  counterLow: u32, counterHigh: u32, counterStep: u32,
  firstFlags: u32, lastFlags: u32, flags: u32,
  target: usize
): void {
  // Masks in locals: as constants at each use they would be loaded each time.
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
  storeState(iv0, 0);
  storeState(iv1, 16);
  storeState(iv2, 32);
  storeState(iv3, 48);
  storeState(i32x4.splat(0x510e527f), 64);
  storeState(i32x4.splat(0x9b05688c), 80);
  storeState(i32x4.splat(0x1f83d9ab), 96);
  storeState(i32x4.splat(0x5be0cd19), 112);

  const last = blocks - 1;
  for (let block: u32 = 0; block < blocks; block++) {
    transposeBlock(source, stride, WORDS_A);
    transposeBlock(source + 4 * stride, stride, WORDS_B);
    source += BLOCK;

    let blockFlags = flags;
    let bytes = BLOCK;
    if (block == 0) blockFlags |= firstFlags;
    if (block == last) {
      blockFlags |= lastFlags;
      bytes = lastBytes;
    }

    let a0 = v128.load(STATE_A, 0);
    let b0 = v128.load(STATE_B, 0);
    let a1 = v128.load(STATE_A, 16);
    let b1 = v128.load(STATE_B, 16);
    let a2 = v128.load(STATE_A, 32);
    let b2 = v128.load(STATE_B, 32);
    let a3 = v128.load(STATE_A, 48);
    let b3 = v128.load(STATE_B, 48);
    let a4 = v128.load(STATE_A, 64);
    let b4 = v128.load(STATE_B, 64);
    let a5 = v128.load(STATE_A, 80);
    let b5 = v128.load(STATE_B, 80);
    let a6 = v128.load(STATE_A, 96);
    let b6 = v128.load(STATE_B, 96);
    let a7 = v128.load(STATE_A, 112);
    let b7 = v128.load(STATE_B, 112);
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
      a0 = add3(a0, v128.load(word, WORDS_A), a4);
      b0 = add3(b0, v128.load(word, WORDS_B), b4);
      a12 = i8x16.swizzle(v128.xor(a12, a0), by16);
      b12 = i8x16.swizzle(v128.xor(b12, b0), by16);
      a8 = i32x4.add(a8, a12);
      b8 = i32x4.add(b8, b12);
      a4 = rotate12(v128.xor(a4, a8));
      b4 = rotate12(v128.xor(b4, b8));
      word = load<u16>(row, 2);
      a0 = add3(a0, v128.load(word, WORDS_A), a4);
      b0 = add3(b0, v128.load(word, WORDS_B), b4);
      a12 = i8x16.swizzle(v128.xor(a12, a0), by8);
      b12 = i8x16.swizzle(v128.xor(b12, b0), by8);
      a8 = i32x4.add(a8, a12);
      b8 = i32x4.add(b8, b12);
      a4 = rotate7(v128.xor(a4, a8));
      b4 = rotate7(v128.xor(b4, b8));

      word = load<u16>(row, 4);
      a1 = add3(a1, v128.load(word, WORDS_A), a5);
      b1 = add3(b1, v128.load(word, WORDS_B), b5);
      a13 = i8x16.swizzle(v128.xor(a13, a1), by16);
      b13 = i8x16.swizzle(v128.xor(b13, b1), by16);
      a9 = i32x4.add(a9, a13);
      b9 = i32x4.add(b9, b13);
      a5 = rotate12(v128.xor(a5, a9));
      b5 = rotate12(v128.xor(b5, b9));
      word = load<u16>(row, 6);
      a1 = add3(a1, v128.load(word, WORDS_A), a5);
      b1 = add3(b1, v128.load(word, WORDS_B), b5);
      a13 = i8x16.swizzle(v128.xor(a13, a1), by8);
      b13 = i8x16.swizzle(v128.xor(b13, b1), by8);
      a9 = i32x4.add(a9, a13);
      b9 = i32x4.add(b9, b13);
      a5 = rotate7(v128.xor(a5, a9));
      b5 = rotate7(v128.xor(b5, b9));

      word = load<u16>(row, 8);
      a2 = add3(a2, v128.load(word, WORDS_A), a6);
      b2 = add3(b2, v128.load(word, WORDS_B), b6);
      a14 = i8x16.swizzle(v128.xor(a14, a2), by16);
      b14 = i8x16.swizzle(v128.xor(b14, b2), by16);
      a10 = i32x4.add(a10, a14);
      b10 = i32x4.add(b10, b14);
      a6 = rotate12(v128.xor(a6, a10));
      b6 = rotate12(v128.xor(b6, b10));
      word = load<u16>(row, 10);
      a2 = add3(a2, v128.load(word, WORDS_A), a6);
      b2 = add3(b2, v128.load(word, WORDS_B), b6);
      a14 = i8x16.swizzle(v128.xor(a14, a2), by8);
      b14 = i8x16.swizzle(v128.xor(b14, b2), by8);
      a10 = i32x4.add(a10, a14);
      b10 = i32x4.add(b10, b14);
      a6 = rotate7(v128.xor(a6, a10));
      b6 = rotate7(v128.xor(b6, b10));

      word = load<u16>(row, 12);
      a3 = add3(a3, v128.load(word, WORDS_A), a7);
      b3 = add3(b3, v128.load(word, WORDS_B), b7);
      a15 = i8x16.swizzle(v128.xor(a15, a3), by16);
      b15 = i8x16.swizzle(v128.xor(b15, b3), by16);
      a11 = i32x4.add(a11, a15);
      b11 = i32x4.add(b11, b15);
      a7 = rotate12(v128.xor(a7, a11));
      b7 = rotate12(v128.xor(b7, b11));
      word = load<u16>(row, 14);
      a3 = add3(a3, v128.load(word, WORDS_A), a7);
      b3 = add3(b3, v128.load(word, WORDS_B), b7);
      a15 = i8x16.swizzle(v128.xor(a15, a3), by8);
      b15 = i8x16.swizzle(v128.xor(b15, b3), by8);
      a11 = i32x4.add(a11, a15);
      b11 = i32x4.add(b11, b15);
      a7 = rotate7(v128.xor(a7, a11));
      b7 = rotate7(v128.xor(b7, b11));

      word = load<u16>(row, 16);
      a0 = add3(a0, v128.load(word, WORDS_A), a5);
      b0 = add3(b0, v128.load(word, WORDS_B), b5);
      a15 = i8x16.swizzle(v128.xor(a15, a0), by16);
      b15 = i8x16.swizzle(v128.xor(b15, b0), by16);
      a10 = i32x4.add(a10, a15);
      b10 = i32x4.add(b10, b15);
      a5 = rotate12(v128.xor(a5, a10));
      b5 = rotate12(v128.xor(b5, b10));
      word = load<u16>(row, 18);
      a0 = add3(a0, v128.load(word, WORDS_A), a5);
      b0 = add3(b0, v128.load(word, WORDS_B), b5);
      a15 = i8x16.swizzle(v128.xor(a15, a0), by8);
      b15 = i8x16.swizzle(v128.xor(b15, b0), by8);
      a10 = i32x4.add(a10, a15);
      b10 = i32x4.add(b10, b15);
      a5 = rotate7(v128.xor(a5, a10));
      b5 = rotate7(v128.xor(b5, b10));

      word = load<u16>(row, 20);
      a1 = add3(a1, v128.load(word, WORDS_A), a6);
      b1 = add3(b1, v128.load(word, WORDS_B), b6);
      a12 = i8x16.swizzle(v128.xor(a12, a1), by16);
      b12 = i8x16.swizzle(v128.xor(b12, b1), by16);
      a11 = i32x4.add(a11, a12);
      b11 = i32x4.add(b11, b12);
      a6 = rotate12(v128.xor(a6, a11));
      b6 = rotate12(v128.xor(b6, b11));
      word = load<u16>(row, 22);
      a1 = add3(a1, v128.load(word, WORDS_A), a6);
      b1 = add3(b1, v128.load(word, WORDS_B), b6);
      a12 = i8x16.swizzle(v128.xor(a12, a1), by8);
      b12 = i8x16.swizzle(v128.xor(b12, b1), by8);
      a11 = i32x4.add(a11, a12);
      b11 = i32x4.add(b11, b12);
      a6 = rotate7(v128.xor(a6, a11));
      b6 = rotate7(v128.xor(b6, b11));

      word = load<u16>(row, 24);
      a2 = add3(a2, v128.load(word, WORDS_A), a7);
      b2 = add3(b2, v128.load(word, WORDS_B), b7);
      a13 = i8x16.swizzle(v128.xor(a13, a2), by16);
      b13 = i8x16.swizzle(v128.xor(b13, b2), by16);
      a8 = i32x4.add(a8, a13);
      b8 = i32x4.add(b8, b13);
      a7 = rotate12(v128.xor(a7, a8));
      b7 = rotate12(v128.xor(b7, b8));
      word = load<u16>(row, 26);
      a2 = add3(a2, v128.load(word, WORDS_A), a7);
      b2 = add3(b2, v128.load(word, WORDS_B), b7);
      a13 = i8x16.swizzle(v128.xor(a13, a2), by8);
      b13 = i8x16.swizzle(v128.xor(b13, b2), by8);
      a8 = i32x4.add(a8, a13);
      b8 = i32x4.add(b8, b13);
      a7 = rotate7(v128.xor(a7, a8));
      b7 = rotate7(v128.xor(b7, b8));

      word = load<u16>(row, 28);
      a3 = add3(a3, v128.load(word, WORDS_A), a4);
      b3 = add3(b3, v128.load(word, WORDS_B), b4);
      a14 = i8x16.swizzle(v128.xor(a14, a3), by16);
      b14 = i8x16.swizzle(v128.xor(b14, b3), by16);
      a9 = i32x4.add(a9, a14);
      b9 = i32x4.add(b9, b14);
      a4 = rotate12(v128.xor(a4, a9));
      b4 = rotate12(v128.xor(b4, b9));
      word = load<u16>(row, 30);
      a3 = add3(a3, v128.load(word, WORDS_A), a4);
      b3 = add3(b3, v128.load(word, WORDS_B), b4);
      a14 = i8x16.swizzle(v128.xor(a14, a3), by8);
      b14 = i8x16.swizzle(v128.xor(b14, b3), by8);
      a9 = i32x4.add(a9, a14);
      b9 = i32x4.add(b9, b14);
      a4 = rotate7(v128.xor(a4, a9));
      b4 = rotate7(v128.xor(b4, b9));
    }

    v128.store(STATE_A, v128.xor(a0, a8), 0);
    v128.store(STATE_B, v128.xor(b0, b8), 0);
    v128.store(STATE_A, v128.xor(a1, a9), 16);
    v128.store(STATE_B, v128.xor(b1, b9), 16);
    v128.store(STATE_A, v128.xor(a2, a10), 32);
    v128.store(STATE_B, v128.xor(b2, b10), 32);
    v128.store(STATE_A, v128.xor(a3, a11), 48);
    v128.store(STATE_B, v128.xor(b3, b11), 48);
    v128.store(STATE_A, v128.xor(a4, a12), 64);
    v128.store(STATE_B, v128.xor(b4, b12), 64);
    v128.store(STATE_A, v128.xor(a5, a13), 80);
    v128.store(STATE_B, v128.xor(b5, b13), 80);
    v128.store(STATE_A, v128.xor(a6, a14), 96);
    v128.store(STATE_B, v128.xor(b6, b14), 96);
    v128.store(STATE_A, v128.xor(a7, a15), 112);
    v128.store(STATE_B, v128.xor(b7, b15), 112);
  }
  transposeState(STATE_A, target);
  transposeState(STATE_B, target + 4 * CV);
}

// @ts-ignore: decorator
@inline
function storeState(word: v128, offset: usize): void {
  v128.store(STATE_A + offset, word);
  v128.store(STATE_B + offset, word);
}

// @ts-ignore: decorator
@inline
function add3(x: v128, word: v128, y: v128): v128 {
  // In this order the load can start before the slower y is there.
  return i32x4.add(i32x4.add(x, word), y);
}

// @ts-ignore: decorator
@inline
function rotate12(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}

// @ts-ignore: decorator
@inline
function rotate7(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}

/** Four blocks, `stride` bytes apart, to 16 vectors of one message word each. */
// @ts-ignore: decorator
@inline
function transposeBlock(source: usize, stride: usize, target: usize): void {
  transpose4(source, stride, target);
  transpose4(source + 16, stride, target + 64);
  transpose4(source + 32, stride, target + 128);
  transpose4(source + 48, stride, target + 192);
}

/** Eight vectors of one state word each to four chaining values. */
// @ts-ignore: decorator
@inline
function transposeState(source: usize, target: usize): void {
  transposeTo(source, 16, target, CV);
  transposeTo(source + 64, 16, target + 16, CV);
}

// @ts-ignore: decorator
@inline
function transpose4(source: usize, stride: usize, target: usize): void {
  transposeTo(source, stride, target, 16);
}

/** A matrix of 4 x 4 words, rows `stride` bytes apart, mirrored at its diagonal. */
// @ts-ignore: decorator
@inline
function transposeTo(source: usize, stride: usize, target: usize, targetStride: usize): void {
  const row0 = v128.load(source);
  const row1 = v128.load(source + stride);
  const row2 = v128.load(source + 2 * stride);
  const row3 = v128.load(source + 3 * stride);
  const low01 = v128.shuffle<i32>(row0, row1, 0, 4, 1, 5);
  const high01 = v128.shuffle<i32>(row0, row1, 2, 6, 3, 7);
  const low23 = v128.shuffle<i32>(row2, row3, 0, 4, 1, 5);
  const high23 = v128.shuffle<i32>(row2, row3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<i64>(low01, low23, 0, 2));
  v128.store(target + targetStride, v128.shuffle<i64>(low01, low23, 1, 3));
  v128.store(target + 2 * targetStride, v128.shuffle<i64>(high01, high23, 0, 2));
  v128.store(target + 3 * targetStride, v128.shuffle<i64>(high01, high23, 1, 3));
}
