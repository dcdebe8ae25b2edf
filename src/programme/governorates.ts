/** The governorates of Egypt, numbered in the order of their codes in the national ID: 3 is Port Said, where the programme began. */
export interface Governorate {
  readonly number: number
  readonly nameAr: string
  readonly nameEn: string
}

const NAMES: readonly (readonly [string, string])[] = [
  ['القاهرة', 'Cairo'],
  ['الإسكندرية', 'Alexandria'],
  ['بورسعيد', 'Port Said'],
  ['السويس', 'Suez'],
  ['دمياط', 'Damietta'],
  ['الدقهلية', 'Dakahlia'],
  ['الشرقية', 'Sharqia'],
  ['القليوبية', 'Qalyubia'],
  ['كفر الشيخ', 'Kafr El Sheikh'],
  ['الغربية', 'Gharbia'],
  ['المنوفية', 'Monufia'],
  ['البحيرة', 'Beheira'],
  ['الإسماعيلية', 'Ismailia'],
  ['الجيزة', 'Giza'],
  ['بني سويف', 'Beni Suef'],
  ['الفيوم', 'Faiyum'],
  ['المنيا', 'Minya'],
  ['أسيوط', 'Asyut'],
  ['سوهاج', 'Sohag'],
  ['قنا', 'Qena'],
  ['أسوان', 'Aswan'],
  ['الأقصر', 'Luxor'],
  ['البحر الأحمر', 'Red Sea'],
  ['الوادي الجديد', 'New Valley'],
  ['مطروح', 'Matrouh'],
  ['شمال سيناء', 'North Sinai'],
  ['جنوب سيناء', 'South Sinai'],
]

export const GOVERNORATES: readonly Governorate[] = NAMES.map(([nameAr, nameEn], index) => ({
  number: index + 1,
  nameAr,
  nameEn,
}))
export const GOVERNORATE_MAX = NAMES.length
