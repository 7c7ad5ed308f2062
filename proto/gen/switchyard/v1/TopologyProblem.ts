// Original file: proto/switchyard/v1/build.proto


export interface TopologyProblem {
  'line'?: (number);
  'column'?: (number);
  'field'?: (string);
  'message'?: (string);
  'fix'?: (string);
}

export interface TopologyProblem__Output {
  'line': (number);
  'column': (number);
  'field': (string);
  'message': (string);
  'fix': (string);
}
