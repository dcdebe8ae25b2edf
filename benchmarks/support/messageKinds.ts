/** The messages that the generator can send. */
import type { SendKind } from '../../src/cli/transactionMessage.ts'

/** The journal stores their position in this list. */
export const MESSAGE_KINDS = [
  'purchase',
  'withdrawal',
  'deposit',
  'credit',
  'payment',
  'balance',
  'authorize',
  'complete',
  'bread',
  'ration',
  'points',
  'eligibility',
  'reversal of purchase',
  'reversal of withdrawal',
  'reversal of bread',
  'reversal of ration',
  'reversal of points',
] as const
export type MessageKind = (typeof MESSAGE_KINDS)[number]

interface KindTraits {
  /** In the words of `sarf send`. */
  readonly send: SendKind
  /** Which purse it moves: cash is that of the card's holder, the others are the household's. */
  readonly purse: 'cash' | 'ration' | 'bread' | 'points'
  /** What it follows, on the same terminal and for the same amount. */
  readonly follows?: MessageKind
}

export const KIND_TRAITS: Readonly<Record<MessageKind, KindTraits>> = {
  purchase: { send: 'purchase', purse: 'cash' },
  withdrawal: { send: 'withdrawal', purse: 'cash' },
  deposit: { send: 'deposit', purse: 'cash' },
  credit: { send: 'credit', purse: 'cash' },
  payment: { send: 'payment', purse: 'cash' },
  balance: { send: 'balance', purse: 'cash' },
  authorize: { send: 'authorize', purse: 'cash' },
  complete: { send: 'complete', purse: 'cash', follows: 'authorize' },
  bread: { send: 'bread', purse: 'bread' },
  ration: { send: 'ration', purse: 'ration' },
  points: { send: 'points', purse: 'points' },
  eligibility: { send: 'eligibility', purse: 'cash' },
  'reversal of purchase': { send: 'reversal', purse: 'cash', follows: 'purchase' },
  'reversal of withdrawal': { send: 'reversal', purse: 'cash', follows: 'withdrawal' },
  'reversal of bread': { send: 'reversal', purse: 'bread', follows: 'bread' },
  'reversal of ration': { send: 'reversal', purse: 'ration', follows: 'ration' },
  'reversal of points': { send: 'reversal', purse: 'points', follows: 'points' },
}

/** The message that takes another one back; undefined where the generator knows none. */
export function reversalOf(kind: MessageKind): MessageKind | undefined {
  return MESSAGE_KINDS.find((candidate) => {
    const { send, follows } = KIND_TRAITS[candidate]
    return send === 'reversal' && follows === kind
  })
}
