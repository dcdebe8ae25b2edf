/** From the options of `sarf send` and what was sent before to the message that goes out. */
import { minorUnits, type MinorUnits } from '../money.ts'
import { demoPan, demoTerminal, demoTerminals, type DemoTerminal } from '../programme/demo.ts'
import { HEALTH, type AccountTypes, type ProgrammeParameters } from '../programmeParameters.ts'
import { goodsAmount, privateDataOf, type GoodsOptions } from './goods.ts'
import { demoCardPan, type SentMessage } from './sentMessages.ts'
import {
  ACQUIRER,
  CASH_ACCOUNT,
  repeated,
  SHAPES,
  transactionMessage,
  type Original,
  type OutgoingMessage,
  type SendKind,
} from './transactionMessage.ts'
import { UsageError } from './usageError.ts'

export interface ComposeOptions extends GoodsOptions {
  readonly amount?: MinorUnits
  readonly card?: string
  readonly terminal?: string
  readonly merchant?: string
  readonly rrn?: string
  readonly approvalCode?: string
  readonly original?: { readonly stan: string; readonly transmissionTime: string }
  readonly last?: true
  readonly finalAmount?: MinorUnits
  readonly repeat?: true
  /** What a terminal counts of its shift, by data element. */
  readonly totals?: Readonly<Record<number, string>>
  /** Whose balance, or which purse an original drew on that was not sent from here. */
  readonly purse?: string
  readonly advice?: true
  readonly localTime?: string
}

interface Surroundings {
  readonly nowMs: number
  /** Latest last. */
  readonly sent: readonly SentMessage[]
  /** Purses by account type, as the link that is spoken to understands them. */
  readonly accountTypes: AccountTypes
  readonly parameters: ProgrammeParameters
  /** Called once where a new trace number is needed. */
  takeStan(): string
}

/** @throws UsageError where something is missing that cannot be guessed */
export function composeMessage(kind: SendKind, options: ComposeOptions, around: Surroundings): OutgoingMessage {
  if (options.repeat === true) return repeatOf(kind, options, around.sent)
  const followed = SHAPES[kind].follows === undefined ? undefined : originalOf(kind, options, around.sent)
  const purse = options.purse ?? SHAPES[kind].purse
  const service = purse === undefined ? undefined : around.parameters.services[purse]
  const isDemand = SHAPES[kind].follows === undefined
  const accountType = accountTypeOf(purse, followed, around.accountTypes)
  return transactionMessage(kind, {
    nowMs: around.nowMs,
    stan: around.takeStan(),
    pan: panOf(options, followed),
    ...placeOf(kind, options, followed, around.parameters),
    amount:
      SHAPES[kind].amount === 'goods' && options.amount === undefined
        ? goodsAmount(kind, options, service)
        : amountOf(kind, options, followed),
    accountType,
    privateData: privateDataOf(kind, options, isDemand ? service : undefined),
    advice: options.advice === true,
    localTime: options.localTime,
    // A refund is a transaction of its own; a completion and a reversal keep the original's reference.
    rrn: options.rrn ?? (kind === 'refund' ? undefined : followed?.fields['37']),
    approvalCode: options.approvalCode ?? followed?.approvalCode,
    original: followed === undefined ? originalByHand(kind, options, accountType) : originalFrom(followed),
    finalAmount: options.finalAmount,
    ...(options.totals === undefined ? {} : { totals: options.totals }),
  })
}

/** The account type of DE 3 that means the purse; what follows another message names the account that one was debited from. */
function accountTypeOf(purse: string | undefined, followed: SentMessage | undefined, types: AccountTypes): string {
  if (purse === undefined) return followed?.fields['3']?.slice(2, 4) ?? CASH_ACCOUNT
  // Where several mean the same purse, the lowest: 00 of cash.
  const [type] = Object.keys(types)
    .filter((candidate) => types[candidate] === purse)
    .sort()
  if (type !== undefined) return type
  const known = [...new Set(Object.values(types))].filter((name) => name !== HEALTH)
  throw new UsageError(`no account type means ${purse}; the programme has ${known.join(', ')}`)
}

function repeatOf(kind: SendKind, options: ComposeOptions, sent: readonly SentMessage[]): OutgoingMessage {
  const last = repeatable(kind, sent)
  const fields: (string | undefined)[] = []
  for (const [de, text] of Object.entries(last.fields)) fields[Number(de)] = text
  if (last.maskedPan !== undefined) fields[2] = panOf(options, last)
  return repeated({ mti: last.mti, fields })
}

/** The message of this kind that was sent last. @throws UsageError where there is none */
export function repeatable(kind: SendKind, sent: readonly SentMessage[]): SentMessage {
  const last = kind === 'key-change' ? undefined : sent.findLast((message) => message.kind === kind)
  if (last === undefined) throw new UsageError(`no ${kind} has been sent that could be repeated`)
  return last
}

/** The message that this one follows, if this command sent it; undefined where the options name another one. */
function originalOf(kind: SendKind, options: ComposeOptions, sent: readonly SentMessage[]): SentMessage | undefined {
  const { original } = options
  if (original !== undefined) {
    return sent.findLast(({ fields }) => fields['11'] === original.stan && fields['7'] === original.transmissionTime)
  }
  if (options.rrn !== undefined && options.approvalCode !== undefined && kind !== 'reversal') return undefined
  const follows = SHAPES[kind].follows ?? []
  const last = sent.findLast((message) => follows.includes(message.kind) && canBeFollowed(kind, message))
  if (last !== undefined) return last
  throw new UsageError(`nothing was sent that a ${kind} could follow (${follows.join(', ')}); name it with --original stan,time`)
}

/** What was declined is not followed; a reversal is also for what was not answered. */
function canBeFollowed(kind: SendKind, { responseCode }: SentMessage): boolean {
  return responseCode === '00' || responseCode === '10' || (kind === 'reversal' && responseCode === undefined)
}

function originalFrom(sent: SentMessage): Original {
  return {
    mti: sent.mti,
    processingCode: sent.fields['3'] ?? '000000',
    stan: sent.fields['11'] ?? '',
    transmissionTime: sent.fields['7'] ?? '',
    acquirerId: sent.fields['32'] ?? '',
  }
}

/** An original that this command did not send: the most usual message of that kind is assumed. */
function originalByHand(kind: SendKind, options: ComposeOptions, accountType: string): Original | undefined {
  if (options.original === undefined) return undefined
  return {
    mti: kind === 'complete' ? '0100' : '0200',
    processingCode: `00${accountType}00`,
    acquirerId: ACQUIRER,
    ...options.original,
  }
}

function amountOf(kind: SendKind, options: ComposeOptions, followed: SentMessage | undefined): MinorUnits {
  if (SHAPES[kind].amount === 'zero') return minorUnits(0)
  if (options.amount !== undefined) return options.amount
  const original = followed?.fields['4']
  if (original === undefined) throw new UsageError('--amount is needed: this original was not sent from here')
  return minorUnits(Number(original))
}

/** Of the original's card only the masked number is kept, and which one it is where it is a demo card. */
function panOf(options: ComposeOptions, followed: SentMessage | undefined): string {
  if (options.card !== undefined) return options.card
  if (followed === undefined) return demoPan(1)
  if (followed.demoCard === undefined) {
    throw new UsageError(`--card is needed: the original was for ${followed.maskedPan ?? 'no card'}`)
  }
  return demoCardPan(followed.demoCard)
}

interface Place {
  readonly terminalId: string
  readonly acceptorId: string
  readonly merchantCategory: string
}

/** Where the original was, unless the options say otherwise; else the first demo terminal of the right class. */
function placeOf(
  kind: SendKind,
  options: ComposeOptions,
  followed: SentMessage | undefined,
  parameters: ProgrammeParameters,
): Place {
  const terminalId = options.terminal ?? followed?.fields['41']
  const known = demoTerminals().find((terminal) => terminal.terminalId === terminalId) ?? usualTerminal(kind, options, parameters)
  const sameTerminal = terminalId === followed?.fields['41']
  return {
    terminalId: terminalId ?? known.terminalId,
    acceptorId: options.merchant ?? (sameTerminal ? followed?.fields['42'] : undefined) ?? known.acceptorId,
    merchantCategory: known.category,
  }
}

/** Where the options name a purse, the first class of terminal that may do this with it. */
function usualTerminal(kind: SendKind, { purse }: ComposeOptions, { routes }: ProgrammeParameters): DemoTerminal {
  const route =
    purse === undefined ? undefined : routes.find((candidate) => candidate.transaction === kind && candidate.purse === purse)
  const terminalClass = route?.terminalClasses.find((name) => demoTerminals().some((terminal) => terminal.class === name))
  return demoTerminal(terminalClass ?? SHAPES[kind].terminalClass)
}
