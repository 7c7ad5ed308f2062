import { flagOf, variableOf, type OptionSpec, type OptionTable } from './options.ts';

/** Columns of `--help`. */
const HELP_COLUMNS = 100;

/** What `switchyard <program> --help` prints. */
export function renderHelp(table: OptionTable): string {
  const blocks = Object.entries(table.options).map(([key, spec]) => {
    const head = spec.type === 'secret' ? variableOf(table, key) : `${flagOf(key)}${placeholder(spec)}`;
    const also = spec.type === 'secret' ? '' : ` [${variableOf(table, key)}]`;
    return `  ${head}\n${wrapped(`${spec.help}${defaultNote(spec)}${also}`, '      ')}`;
  });
  return `switchyard ${table.program} [options]\n\n${wrapped(table.about, '')}\n\n${blocks.join('\n')}\n`;
}

/** The section of docs/config.md about one process. */
export function renderMarkdown(table: OptionTable): string {
  const rows = Object.entries(table.options).map(([key, spec]) => {
    const flag = spec.type === 'secret' ? '' : `\`${flagOf(key)}\``;
    const initial = spec.default === undefined ? (spec.required ? 'required' : '') : `\`${spec.default}\``;
    const meaning = `${spec.help}${spec.type === 'choice' ? ` One of ${spec.choices.map((choice) => `\`${choice}\``).join(', ')}.` : ''}`;
    return `| ${flag} | \`${variableOf(table, key)}\` | ${spec.type} | ${initial} | ${meaning.replaceAll('|', '\\|')} |`;
  });
  const head = ['| Flag | Variable | Type | Default | Meaning |', '| --- | --- | --- | --- | --- |'];
  return [`## switchyard ${table.program}`, '', table.about, '', ...head, ...rows, ''].join('\n');
}

function placeholder(spec: OptionSpec): string {
  switch (spec.type) {
    case 'boolean':
      return '';
    case 'choice':
      return ` ${spec.choices.join('|')}`;
    case 'int':
      return ' N';
    case 'list':
      return ' WORD (repeatable)';
    case 'string':
    case 'path':
    case 'duration':
    case 'size':
    case 'secret':
      return ` ${spec.type.toUpperCase()}`;
  }
}

function defaultNote(spec: OptionSpec): string {
  if (spec.default !== undefined) return ` Default: ${spec.default}.`;
  return spec.required ? ' Required.' : '';
}

function wrapped(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > HELP_COLUMNS) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line].join('\n');
}
