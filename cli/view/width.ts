/** Characters that terminals draw two columns wide: East Asian wide and full-width forms, and emoji. */
const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]/u;
/** Marks and joiners that are drawn onto the character before them. */
const MARK = /\p{Mark}|[\u200b-\u200d]/u;
const PICTURE = /\p{Emoji_Presentation}/u;
/** No escape sequence, and nothing that needs a closer look. */
const PLAIN = /^[\u0020-\u007e]*$/;
const COLOUR = /\u001b\[[0-9;]*m/g;

function widthOf(character: string): number {
  if (MARK.test(character)) return 0;
  return WIDE.test(character) || PICTURE.test(character) || (character >= '\u{20000}' && character <= '\u{3fffd}') ? 2 : 1;
}

/** Columns that a terminal needs for `text`, which may hold colours. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  return [...text.replaceAll(COLOUR, '')].reduce((total, character) => total + widthOf(character), 0);
}

/** `text` cut to `width` columns, with "…" where something is missing. It must hold no colours. */
export function fit(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let left = width - 1;
  for (const character of text) {
    left -= widthOf(character);
    if (left < 0) break;
    kept += character;
  }
  return width > 0 ? `${kept}…` : '';
}

/** `text` filled with spaces up to `width` columns. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}
