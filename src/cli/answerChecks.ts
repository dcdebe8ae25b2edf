/** What a terminal and a chip find out about an answer: is it the switch's, is it the issuer's, and what is the card told to do. */
import { findTlv, parseTlv } from '../iso8583/berTlv.ts'
import type { Message } from '../iso8583/message.ts'
import { timingSafeEqual } from 'node:crypto'
import type { ScriptRequest } from '../security/hsm.ts'
import type { KeyHandle } from '../security/keys.ts'
import { macOf } from '../security/messageMac.ts'
import type { VirtualChip } from '../security/virtualChip.ts'

export interface AnswerChecks {
  /** `wrong` also where it is missing. Absent: the link has none. */
  readonly mac?: 'right' | 'wrong'
  /** EMV Book 2 8.2: tag 91, and the MACs of all scripts. Absent: no chip was asked. */
  readonly issuer?: 'authenticated' | 'wrong' | 'missing'
  /** Commands of tags 71 and 72, in order. */
  readonly scripts?: readonly (ScriptRequest['command'] | 'unknown')[]
}

/** @param frame the answer as it came */
export function checkAnswer(
  answer: Message,
  frame: Buffer,
  macKey: KeyHandle | undefined,
  chip: VirtualChip | undefined,
): AnswerChecks {
  return {
    ...(macKey === undefined ? {} : { mac: isMacRight(answer, frame, macKey) ? 'right' : 'wrong' }),
    ...(chip === undefined ? {} : chipChecks(answer.bytes(55), chip)),
  }
}

function isMacRight(answer: Message, frame: Buffer, key: KeyHandle): boolean {
  const found = macOf(answer, frame)
  return found !== undefined && timingSafeEqual(key.mac(found.data).subarray(0, found.given.length), found.given)
}

function chipChecks(field: Buffer | undefined, chip: VirtualChip): AnswerChecks {
  const parsed = field === undefined ? undefined : parseTlv(field)
  if (field === undefined || parsed?.ok !== true || findTlv(parsed.value, '91') === undefined) return { issuer: 'missing' }
  const scripts = parsed.value
    .filter(({ tag }) => tag === '71' || tag === '72')
    .flatMap(({ children = [] }) =>
      children.filter(({ tag }) => tag === '86').map(({ value }) => COMMANDS[value[1] ?? 0] ?? 'unknown'),
    )
  return {
    issuer: chip.acceptResponse(field) ? 'authenticated' : 'wrong',
    ...(scripts.length === 0 ? {} : { scripts }),
  }
}

/** EMV Book 3 6.5: by INS. */
const COMMANDS: Readonly<Record<number, ScriptRequest['command']>> = {
  0x24: 'PIN_UNBLOCK',
  0x1e: 'APPLICATION_BLOCK',
  0x18: 'APPLICATION_UNBLOCK',
  0x16: 'CARD_BLOCK',
}

export function checkLines({ mac, issuer, scripts = [] }: AnswerChecks): string[] {
  const rows: [string, string | undefined][] = [
    ['chip', issuer === undefined ? undefined : ISSUER[issuer]],
    ...scripts.map((command): [string, string] => ['script for the card', command.toLowerCase().replaceAll('_', ' ')]),
    ['MAC', mac === undefined ? undefined : mac === 'right' ? 'right' : "not the switch's: the answer counts for nothing"],
  ]
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`    ${name.padEnd(NAME_WIDTH)} ${value}`]))
}

const ISSUER = {
  authenticated: 'issuer authenticated',
  wrong: 'issuer not authenticated: its cryptogram or a script is wrong',
  missing: 'issuer not authenticated: the answer has no cryptogram',
} as const

/** As of what stands above (src/cli/sendOutcome.ts). */
const NAME_WIDTH = 32
