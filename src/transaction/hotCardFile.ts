/** The hot card file as messages name it (ISO 8583-1:1987 DE 91 and DE 101; DE 48 HR and RF are ours): spec/links.md. */

/** DE 101. */
export const HOT_CARD_FILE = 'HOTCARD'

/** DE 91. Taking a card off the file (3) is not done: a card that was stopped never works again. */
export const FILE_UPDATE_CODES = { add: '1', change: '2', inquiry: '5' } as const

/** What is reported, and its letter in DE 48 HR. */
export const REPORT_LETTERS = { lost: 'L', stolen: 'S', damaged: 'D', 'pin-lost': 'P' } as const
export type Report = keyof typeof REPORT_LETTERS
export const REPORTS = Object.keys(REPORT_LETTERS) as readonly Report[]

/** @returns undefined where no report has this letter */
export function reportOfLetter(letter: string): Report | undefined {
  return REPORTS.find((report) => REPORT_LETTERS[report] === letter)
}

/**
 * DE 48 RF, and `reference` of the API: the number of the call or of the police report. It stays in the audit trail for good, so that no card number, national
 * ID or mobile goes for one.
 */
export const REFERENCE_PATTERN = '^(?!.*[0-9]{11})[A-Za-z0-9/_-]{1,64}$'
