/** Seeds that have found something, each with what it was: `npm test` carries them out again. */
export const KEPT_SEEDS: readonly (readonly [seed: number, what: string])[] = [
  [271, 'an epoch that was agreed on for one Redis was believed of the next, which had come up on the same link meanwhile'],
  [
    173,
    'a second reversal was decided while a refund stood, which was reversed before its commit: nothing of that was given back',
  ],
  [5246, 'a connection that had stalled in reading answers was given batches, and refused them, without an end'],
  [5442, 'a statement that came twice was refused by its own posting, and 91 was told when the ledger could not be asked again'],
  [900182, 'a reversal that takes money was voided by the sweeper after its process had died, and was answered 91 for ever'],
  [900341, 'purses that were opened for a month while Redis was given another epoch were told to nobody'],
]
