// Original file: proto/switchyard/v1/build.proto


export interface ScoreTerm {
  'term'?: (string);
  'score'?: (number | string);
  'why'?: (string);
}

export interface ScoreTerm__Output {
  'term': (string);
  'score': (number);
  'why': (string);
}
