// The latents of seeds, as NumPy makes them: RandomState(seed).randn(length), as float32.
// A Mersenne Twister (Matsumoto & Nishimura 1998) and the polar method of Marsaglia.

const SIZE = 624;
const SHIFT = 397;

/** A Mersenne Twister: uniform numbers in [0, 1) with 53 random bits, in NumPy's order. */
class MersenneTwister {
  constructor(seed) {
    this.state = new Uint32Array(SIZE);
    this.state[0] = seed;
    for (let i = 1; i < SIZE; i++) {
      const before = this.state[i - 1];
      this.state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
    this.position = SIZE;
  }

  twist() {
    const state = this.state;
    for (let i = 0; i < SIZE; i++) {
      const mixed = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.position = 0;
  }

  integer() {
    if (this.position === SIZE) this.twist();
    let bits = this.state[this.position++];
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  }

  uniform() {
    const high = this.integer() >>> 5;
    const low = this.integer() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }
}

/**
 * The latent of a seed.
 * @param {number} seed A whole number from 0 to 2**32 - 1.
 * @param {number} length How many numbers.
 * @returns {Float32Array}
 */
export function latent(seed, length) {
  const random = new MersenneTwister(seed);
  const numbers = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    let x, y, square;
    do {
      x = 2 * random.uniform() - 1;
      y = 2 * random.uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    numbers[i] = factor * y;
    if (i + 1 < length) numbers[i + 1] = factor * x; // NumPy keeps it for the next call
  }
  return numbers;
}

/** A point between two latents on the sphere, as `interpolate` of facegen_keras; t from 0 to 1. */
export function slerp(start, end, t) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const norms = Math.sqrt(dot(start, start) * dot(end, end));
  const angle = norms ? Math.acos(Math.min(1, Math.max(-1, dot(start, end) / norms))) : 0;
  if (Math.sin(angle) < 1e-6) return lerp(start, end, t);
  const before = Math.sin((1 - t) * angle) / Math.sin(angle);
  const after = Math.sin(t * angle) / Math.sin(angle);
  return start.map((value, i) => before * value + after * end[i]);
}

/** A point on the straight line between two points; t from 0 to 1. */
export function lerp(start, end, t) {
  return start.map((value, i) => (1 - t) * value + t * end[i]);
}
