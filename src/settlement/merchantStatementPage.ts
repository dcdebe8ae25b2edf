/** The statement of an outlet as a page to print, in Arabic and English. It needs nothing from elsewhere: no script, no picture, no font. */
import { createHash } from 'node:crypto'
import type { ShownStatement } from './merchantStatementShown.ts'
import { xmlText } from './pain001.ts'

export const LANGUAGES = ['ar', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

const STYLE = `
body { font: 11pt "Noto Naskh Arabic", "Segoe UI", Tahoma, sans-serif; margin: 2cm auto; max-width: 18cm; color: #111; }
h1 { font-size: 15pt; } h2 { font-size: 12pt; margin: 1.2em 0 0.3em; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #999; padding: 0.25em 0.5em; text-align: start; }
td.number, th.number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.balance td { font-weight: bold; }
@media print { body { margin: 0; } tr { break-inside: avoid; } }
`

/** Content-Security-Policy of a page: its own style and nothing else. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; frame-ancestors 'none'`

const WORDS = {
  title: { en: 'Statement of an outlet', ar: 'كشف حساب منفذ' },
  merchant: { en: 'Outlet', ar: 'المنفذ' },
  number: { en: 'Number', ar: 'رقم المنفذ' },
  governorate: { en: 'Governorate', ar: 'المحافظة' },
  day: { en: 'Business day', ar: 'يوم العمل' },
  money: { en: 'Money, Egyptian pounds', ar: 'المبالغ بالجنيه المصري' },
  what: { en: 'From', ar: 'البيان' },
  transfers: { en: 'Transfers', ar: 'عدد الحركات' },
  received: { en: 'Received', ar: 'له' },
  givenBack: { en: 'Given back', ar: 'مردود' },
  net: { en: 'Net', ar: 'الصافي' },
  opening: { en: 'Opening balance', ar: 'الرصيد الافتتاحي' },
  closing: { en: 'Closing balance', ar: 'الرصيد الختامي' },
  payout: { en: 'Paid to the bank account', ar: 'تحويل إلى الحساب البنكي' },
  units: { en: 'Units handed out', ar: 'الوحدات المنصرفة' },
  unit: { en: 'Unit', ar: 'الوحدة' },
  handedOut: { en: 'Handed out', ar: 'منصرف' },
  control: { en: 'Control sums', ar: 'مجاميع المراجعة' },
} as const

/** Sources of money and names of units; what is not here is shown by its own name. */
const NAMES: Readonly<Record<string, { readonly en: string; readonly ar: string }>> = {
  'treasury-ration': { en: 'Treasury, ration goods', ar: 'وزارة المالية - السلع التموينية' },
  'treasury-bread': { en: 'Treasury, subsidised bread', ar: 'وزارة المالية - الخبز المدعم' },
  'treasury-points': { en: 'Treasury, bread points', ar: 'وزارة المالية - نقاط الخبز' },
  'health-fund': { en: 'Health insurance fund', ar: 'هيئة التأمين الصحي الشامل' },
  wallets: { en: "Holders' wallets", ar: 'محافظ حاملي البطاقات' },
  suspense: { en: 'Suspense', ar: 'حساب معلق' },
  'returned-payouts': { en: 'Payouts that came back', ar: 'تحويلات مرتدة' },
  LOAF: { en: 'Loaves', ar: 'رغيف' },
  RATION: { en: 'Ration, pounds', ar: 'تموين (جنيه)' },
  POINTS: { en: 'Points, pounds', ar: 'نقاط (جنيه)' },
}

/** Numbers are written as in Egypt in Arabic; ids stay as the machines have them. */
export function statementPage(statement: ShownStatement, language: Language): string {
  const { acceptorId, name, governorate, day, opening, lines, payouts, closing, units, control } = statement
  const word = (key: keyof typeof WORDS): string => xmlText(WORDS[key][language])
  const named = (key: string): string => xmlText(NAMES[key]?.[language] ?? key)
  const number = (text: string | number): string => cell(digits(String(text), language), 'number')
  const head = (keys: readonly (keyof typeof WORDS)[]): string =>
    row(keys.map((key, index) => `<th${index === 0 ? '' : ' class="number"'}>${word(key)}</th>`))
  const balance = (key: 'opening' | 'closing', amount: string): string =>
    row([cell(word(key)), cell(''), cell(''), cell(''), number(amount)], 'balance')
  const money = [
    head(['what', 'transfers', 'received', 'givenBack', 'net']),
    balance('opening', opening),
    ...lines.map((line) =>
      row([cell(named(line.source)), number(line.transfers), number(line.received), number(line.givenBack), number(line.net)]),
    ),
    ...payouts.map(({ endToEndId, amount }) =>
      row([cell(`${word('payout')} ${id(endToEndId)}`), cell(''), cell(''), number(amount), number(`-${amount}`)]),
    ),
    balance('closing', closing),
  ]
  const counted = units.map((line) =>
    row([cell(named(line.unit)), number(line.transfers), number(line.handedOut), number(line.givenBack), number(line.net)]),
  )
  const facts: readonly (readonly [keyof typeof WORDS, string])[] = [
    ['merchant', `<bdi>${xmlText(name)}</bdi>`],
    ['number', id(acceptorId)],
    ['governorate', digits(String(governorate), language)],
    ['day', id(day)],
  ]
  const sums: readonly (readonly [keyof typeof WORDS, string | number])[] = [
    ['transfers', control.transfers],
    ['received', control.received],
    ['givenBack', control.givenBack],
    ['payout', control.paidOut],
  ]
  return `<!DOCTYPE html>
<html lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}">
<head><meta charset="utf-8"><title>${word('title')} ${xmlText(acceptorId)} ${day}</title><style>${STYLE}</style></head>
<body>
<h1>${word('title')}</h1>
${table(facts.map(([key, value]) => row([`<th>${word(key)}</th>`, cell(value)])))}
<h2>${word('money')}</h2>
${table(money)}
${units.length === 0 ? '' : `<h2>${word('units')}</h2>\n${table([head(['unit', 'transfers', 'handedOut', 'givenBack', 'net']), ...counted])}`}
<h2>${word('control')}</h2>
${table(sums.map(([key, value]) => row([`<th>${word(key)}</th>`, number(value)])))}
</body>
</html>
`
}

function table(rows: readonly string[]): string {
  return `<table>\n${rows.join('\n')}\n</table>`
}

function row(cells: readonly string[], name?: string): string {
  return `<tr${name === undefined ? '' : ` class="${name}"`}>${cells.join('')}</tr>`
}

function cell(html: string, name?: string): string {
  return `<td${name === undefined ? '' : ` class="${name}"`}>${html}</td>`
}

/** Read from left to right, whatever is around it. */
function id(text: string): string {
  return `<bdi dir="ltr">${xmlText(text)}</bdi>`
}

const ARABIC_ZERO = 0x0660

/** `-1250.50` as `-١٬٢٥٠٫٥٠` or `-1,250.50`: the digits that are there, none rounded. */
function digits(text: string, language: Language): string {
  const [, sign = '', whole = '', rest = ''] = /^(-?)(\d+)(\.\d+)?$/.exec(text) ?? []
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, language === 'ar' ? '٬' : ',')
  if (language === 'en') return `${sign}${grouped}${rest}`
  const arabic = (latin: string): string => latin.replaceAll(/\d/g, (digit) => String.fromCharCode(ARABIC_ZERO + Number(digit)))
  // The mark keeps the sign on the side of the number on which it is written in Arabic.
  return `${sign === '' ? '' : '\u061c-'}${arabic(grouped)}${arabic(rest).replace('.', '٫')}`
}
