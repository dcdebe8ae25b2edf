/** The PIN blocks of the demo cards, made before the clock starts: a format 0 block of one card and one PIN is always the same. */
import { demoPan } from '../../src/programme/demo.ts'
import { demoKeys, demoPin } from '../../src/programme/demoVerification.ts'
import { buildPinBlock, encipherPinBlocks } from '../../src/security/pinBlock.ts'

const BLOCK_BYTES = 8
const FORMAT = 0

export class PinTable {
  readonly #blocks: Buffer

  /** @param households blocks are of the heads' cards, 1 to this one */
  constructor(households: number) {
    const clear = Buffer.alloc(households * BLOCK_BYTES)
    for (let household = 1; household <= households; household++) {
      const pan = demoPan(household)
      clear.set(buildPinBlock(FORMAT, Uint8Array.from(demoPin(pan), Number), pan), (household - 1) * BLOCK_BYTES)
    }
    // Keys of one kind have one value on all links.
    this.#blocks = encipherPinBlocks(FORMAT, demoKeys().find('zpk.pos', 'P0'), clear, [])
  }

  /** A view. */
  block(household: number): Buffer {
    return this.#blocks.subarray((household - 1) * BLOCK_BYTES, household * BLOCK_BYTES)
  }
}
