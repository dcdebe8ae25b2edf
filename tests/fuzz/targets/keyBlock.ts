/** TR-31 key blocks (src/security/keyBlock.ts). What is not authentic or not well formed is refused by a KeyBlockError and by nothing else. */
import { softwareKey } from '../../../src/security/softwareKeys.ts'
import { openKeyBlock } from '../../../src/security/keyBlock.ts'
import { check, type Target } from '../target.ts'

/** TR-31:2018 annex A.7, the examples of versions B and D, and the keys they are protected under. */
const EXAMPLES = [
  {
    key: 'DD7515F2BFC17F85CE48F3CA25CB21F6',
    algorithm: 'T',
    block: 'B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E',
  },
  {
    key: '88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6',
    algorithm: 'A',
    block: 'D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34',
  },
] as const
const KEYS = EXAMPLES.map(({ key, algorithm }) =>
  softwareKey({ name: 'kbpk', usage: 'K1', algorithm, exportable: false, value: Buffer.from(key, 'hex') }),
)
/** No part of a protection key is in an error, and no long hexadecimal text, which may be a key. */
const HEX_SHOWN_MAX = 16

export const keyBlock: Target = {
  seeds: EXAMPLES.flatMap(({ block }) => [block, block.slice(0, -1)]).map((block) => Buffer.from(block)),
  dictionary: ['A0', 'B0', 'C0', 'D0', 'P0', 'K0', 'KS18', 'KC0C00', 'PB04', 'TS', 'LB', '0072', '0080', '0112', '0144'],
  bytesMax: 400,
  run(input) {
    const block = input.toString('latin1')
    let opened = false
    for (const key of KEYS) {
      try {
        openKeyBlock(block, key)
        // Authentic blocks are the examples alone: nobody else can make one.
        check(
          EXAMPLES.some((example) => example.block.toUpperCase() === block.toUpperCase()),
          'what is opened is authentic',
          block,
        )
        opened = true
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'KeyBlockError') throw error
        check(
          !new RegExp(`[0-9A-Fa-f]{${String(HEX_SHOWN_MAX + 1)},}`).test(error.message),
          'an error shows no key',
          error.message,
        )
      }
    }
    return opened ? 'accepted' : 'rejected'
  },
}
