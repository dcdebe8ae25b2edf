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
  [117, 'wrong PINs that stand-in had told, of which the ledger did not know yet, were not counted for a withdrawal'],
  [394, 'a journal whose disk failed while it was taken over stayed locked by a process that did not drain it'],
  [1174, 'a process without a journal told again what Redis remembered, and Redis named a journal that nobody had, for ever'],
  [
    1197,
    'a slot of a dead process was let go before Redis was told that it holds nothing, and kept the shard in stand-in for ever',
  ],
  [2027, 'a drained journal stayed where closing its file had failed once'],
  [3535, 'a lock that a loss of power had taken left a journal that Redis names and nobody looks at'],
  [3835, 'a file that could neither be made nor removed stayed'],
  [
    31074,
    'a wrong PIN that the ledger had counted was given back in Redis, which was not told of it before the ledger went away',
  ],
  [700000104, 'what a dead process had on its way to Redis named a journal that had been drained, for ever'],
  [
    441200150,
    'a process with the ledger and without Redis declined for another reason what stand-in had declined: the model allowed no other',
  ],
  [700000534, 'a wrong PIN that Redis was to remember for stand-in was not forgotten with a right one: a try early'],
  [42607, 'a wrong PIN of which Redis could not be told, and two more in stand-in'],
  [61974, 'what a dead process had on its way to Redis named a journal whose slot nobody has any more, for ever'],
  [63450, 'what another process had written and not synchronised was told by the one that took its journal over'],
  [45255, 'a process that reaches the ledger and not Redis does not know of wrong PINs in stand-in (allowed by the model since)'],
  [
    47190,
    'what was declined in stand-in was decided anew when Redis had lost it and its journal stood still (allowed by the model since)',
  ],
  [60054, 'a wrong PIN that was told in stand-in and once more by the ledger counted twice (in the model)'],
  [345000254, 'a first message that came again in stand-in after its decline had been reversed (allowed by the model since)'],
]
