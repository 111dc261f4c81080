"""What danger rules must say, as tables a clinician can read. The oracle of `test_danger_rules`.

A line is: what is known and what happens | what is said. The last item before `|` is the event; items are separated by
`;`. `@-2h` is two hours before the event is received (m, h, d); without it, now. What is said: kind, severity, what
follows (page, lock, day: a clinician's same-day item), what is barred (P patient-facing, U increases, R increases of
what slows the heart, A routine advice), unverified or historic, and what is asked. `-` is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache

from care_loops.danger import Context, DangerTable, Event, assess, assess_average, assess_record
from care_loops.domain.alerts import Finding, Scope
from care_loops.domain.readings import Average, Flag, Implausible, Method, Position, Reading, Status
from care_loops.domain.record import DrugClass, Lab, LabKind, PastChange, Pregnancy, SymptomKind, SymptomReport
from care_loops.domain.units import MmHg
from tests.care_loops.clinic import NO_DRUGS, NOW, PLAIN_FACTS, changed, lab, reading, symptom, taking

PRESSURE = """
bp 179/119                                         | high_diastolic info unverified: contact_care_team
bp 180/80                                          | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 179.5/80                                        | -
bp 181/80                                          | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 150/120                                         | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 150/119.5                                       | high_diastolic info unverified: contact_care_team
bp 150/121                                         | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 150/100                                         | -
bp 150/100.5                                       | high_diastolic info unverified: contact_care_team
bp 150/101                                         | high_diastolic info unverified: contact_care_team
bp 89/65                                           | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 89.5/65                                         | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 90/65                                           | amber_low card PU unverified: consider_reduction
bp 91/65                                           | amber_low card PU unverified: consider_reduction
bp 99/65                                           | amber_low card PU unverified: consider_reduction
bp 99.5/65                                         | amber_low card PU unverified: consider_reduction
bp 100/65                                          | -
bp 101/65                                          | -
bp 109/59                                          | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 109.5/59                                        | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 109/59.5                                        | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 110/59                                          | low_diastolic card PU unverified: repeat_now
bp 111/59                                          | low_diastolic card PU unverified: repeat_now
bp 140/59.5                                        | low_diastolic card PU unverified: repeat_now
bp 140/60                                          | -
bp 109/60                                          | -
bp 109/61                                          | -
bp 300/100                                         | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 300/100 held:systolic_out_of_range              | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 50/30 held:systolic_out_of_range                | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp -/120                                           | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/-                                           | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 89/-                                            | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp -/59                                            | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp -/-                                             | -
bp 130/80                                          | -
"""

REPEATED = """
bp 180/80 @-2m ; bp 180/80                         | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 180/80 @-2m ; bp 180/80 motion                  | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 150/120 @-2m ; bp 180/80                        | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 180/80 @-59s ; bp 180/80                        | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 @-60s ; bp 180/80                        | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 180/80 @-61s ; bp 180/80                        | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 180/80 @-24h ; bp 130/80 @-1h ; bp 180/80       | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 180/80 @-2h ; bp 130/80 @-1h ; bp 180/80 motion  | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 180/80 @-25h ; bp 130/80 @-1h ; bp 180/80       | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 @-14d ; bp 180/80                        | crisis critical page lock PUA day: contact_care_team symptom_questionnaire repeat_now
bp 180/80 @-3d ; bp 180/80 motion                  | crisis critical page lock PUA day: contact_care_team symptom_questionnaire repeat_now
bp 150/125 @-3d ; bp 150/125                       | crisis critical page lock PUA day: contact_care_team symptom_questionnaire repeat_now
bp 180/80 @-337h ; bp 180/80                       | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 @-2d ; bp 200/90 cuffless @-1d ; bp 180/80 | crisis critical page lock PUA day: contact_care_team symptom_questionnaire repeat_now
bp 180/80 @-2d void ; bp 180/80                    | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 cuffless @-5m ; bp 180/80                | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 130/185 held:systolic_not_above_diastolic @-5m ; bp 180/80 | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 80/120 held:future @+16h ; bp 190/82 held:future @+16h | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 80/120 held:systolic_not_above_diastolic @+2m ; bp 190/82 held:future @+16h | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 190/82 held:future @+960m ; bp 190/85 held:future @+965m | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 300/100 held:systolic_out_of_range @-5m ; bp 180/80 | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/2047 held:device_sentinel @-5m ; bp 180/80  | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 held:equivocal @-5m ; bp 180/80          | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 held:not_exact @-5m ; bp 180/80          | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 @-5m ; bp 180/80 held:not_exact          | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 @-3d ; bp 130/80 held:future @-2d ; bp 180/80 | crisis critical page lock PUA day: contact_care_team symptom_questionnaire repeat_now
bp 100/55 @-3d ; bp 80/120 held:future             | crisis urgent page PUA unverified: repeat_now symptom_questionnaire & low urgent page PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 130/185 held:systolic_not_above_diastolic @-5m ; bp 130/185 held:systolic_not_above_diastolic | crisis urgent page PUA unverified: repeat_now symptom_questionnaire
bp 180/80 ; bp 180/80 @-5m                         | crisis critical page lock PUA day: contact_care_team symptom_questionnaire target_organ_tests repeat_now
bp 88/60 @-14d ; bp 120/80 @-1d ; bp 88/60         | low critical page lock PUA day: contact_care_team consider_reduction repeat_now symptom_questionnaire
bp 88/60 @-337h ; bp 88/60                         | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 100/55 @-3d ; bp 88/60                          | low critical page lock PUA day: contact_care_team consider_reduction repeat_now symptom_questionnaire
bp 100/55 @-3d ; bp 88/60 motion                   | low critical page lock PUA day: contact_care_team consider_reduction repeat_now symptom_questionnaire
bp 88/60 @-3d ; bp 100/55                          | low critical page lock PUA day: contact_care_team consider_reduction repeat_now symptom_questionnaire
bp 140/55 @-1d ; bp 140/55                         | low_diastolic card PU unverified: repeat_now
"""

QUALITY = """
bp 2047/238                                        | -
bp 1823/43                                         | -
bp 255/255                                         | -
bp 0/0                                             | -
bp 2047/2047 p2047                                 | -
bp 180/2047                                        | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 255/100                                         | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 130/80 p255                                     | -
bp 180/80 p2047                                    | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 void                                     | -
bp 180/80 preliminary                              | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 wrist                                    | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 unknown                                  | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 120/130 held:systolic_not_above_diastolic       | crisis urgent page PUA unverified: repeat_now symptom_questionnaire
bp 185/180 held:pulse_pressure_too_small           | crisis urgent page PUA unverified: repeat_now symptom_questionnaire
bp 180/80 held:equivocal                           | crisis urgent page PUA unverified: repeat_now symptom_questionnaire
bp 180/80 held:future                              | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 80/120 held:future @+16h                        | crisis urgent page PUA unverified: repeat_now symptom_questionnaire & low urgent page PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 80/120 held:systolic_not_above_diastolic        | crisis urgent page PUA unverified: repeat_now symptom_questionnaire & low urgent page PUA unverified: repeat_now symptom_questionnaire consider_reduction
bp 190/82 held:future @+16h                        | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 motion                                   | crisis urgent page PUA unverified: repeat_now symptom_questionnaire
bp 180/80 exertion                                 | crisis urgent page PUA unverified: repeat_now symptom_questionnaire
bp 120/11 held:diastolic_out_of_range              | low_diastolic card PU unverified: repeat_now
bp 180/80 cuffless                                 | crisis card PUA day unverified: cuff_reading symptom_questionnaire
bp 85/60 cuffless                                  | low card PUA day unverified: cuff_reading symptom_questionnaire consider_reduction
symptom chest_pain ; bp 180/80 cuffless            | crisis critical page lock PUA day unverified: cuff_reading call_emergency contact_care_team symptom_questionnaire
symptom chest_pain ; bp 180/80 held:future         | crisis critical page lock PUA unverified: call_emergency contact_care_team repeat_now symptom_questionnaire
symptom chest_pain ; bp 120/130 held:systolic_not_above_diastolic | crisis critical page lock PUA unverified: repeat_now call_emergency contact_care_team symptom_questionnaire
"""

TIME = """
bp 180/80 @-24h                                    | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 @-1441m                                  | crisis card PUA day unverified: measure_now repeat_now symptom_questionnaire
bp 180/80 @-25h                                    | crisis card PUA day unverified: measure_now repeat_now symptom_questionnaire
bp 180/80 @-14d                                    | crisis card PUA day unverified: measure_now repeat_now symptom_questionnaire
bp 180/80 @-20161m                                 | crisis info unverified historic:
bp 85/60 @-2d                                      | low card PUA day unverified: measure_now repeat_now symptom_questionnaire consider_reduction
bp 85/60 @-15d                                     | low info unverified historic:
bp 180/80 @-400d clock                             | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 180/80 @+3d                                     | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 150/101 @-2d                                    | high_diastolic info unverified: contact_care_team
bp 180/80 @-20d ; bp 180/80 @-15d                  | crisis info historic:
bp 180/80 @-1h ; bp 180/80 @-2d                    | crisis critical page lock PUA day: contact_care_team symptom_questionnaire measure_now repeat_now
symptom swelling_of_lip_face_tongue_or_throat @-2d | angioedema card PUA day: measure_now call_emergency stop_drug_review contact_care_team
lab potassium 6.2 @-2d                             | dangerous_lab card PU day: measure_now repeat_lab review_medication contact_care_team
lab potassium 6.2 @-15d                            | dangerous_lab info historic:
"""

SYMPTOMS = """
symptom chest_pain @-1h ; bp 185/80                | crisis critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
symptom chest_pain @-24h ; bp 185/80               | crisis critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
symptom chest_pain @-25h ; bp 185/80               | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire
bp 185/80 @-1h ; symptom chest_pain                | crisis critical page lock PUA: call_emergency contact_care_team & symptom urgent page PUA: call_emergency measure_now
bp 85/55 @-1h ; symptom dizziness                  | low critical page lock PUA: call_emergency contact_care_team consider_reduction & symptom card PU day: measure_now symptom_questionnaire
symptom confusion ; bp 85/65                       | low critical page lock PUA: call_emergency contact_care_team consider_reduction repeat_now symptom_questionnaire
symptom fatigue ; bp 85/65                         | low urgent page lock PUA unverified: repeat_now symptom_questionnaire consider_reduction
symptom dizziness ; bp 95/65                       | amber_low card PU unverified: consider_reduction & low urgent page lock PUA: repeat_now contact_care_team consider_reduction
symptom dizziness ; bp 130/55                      | low urgent page lock PUA: repeat_now contact_care_team consider_reduction & low_diastolic card PU unverified: repeat_now
bp 130/55 @-3h ; symptom syncope                   | low urgent page lock PUA: repeat_now contact_care_team consider_reduction & syncope urgent page lock PUA: measure_now symptom_questionnaire contact_care_team
symptom swelling_of_lip_face_tongue_or_throat      | angioedema critical page lock PUA: call_emergency stop_drug_review contact_care_team
bp 130/80 ; symptom syncope                        | syncope urgent page lock PUA: measure_now symptom_questionnaire contact_care_team
symptom cough                                      | -
symptom ankle_swelling                             | -
symptom rash                                       | -
symptom other                                      | -
symptom severe_headache                            | symptom card PU day: measure_now symptom_questionnaire
bp 185/80 @-1h ; symptom severe_headache           | crisis critical page lock PUA: call_emergency contact_care_team & symptom card PU day: measure_now symptom_questionnaire
symptom vomiting                                   | symptom card PU day: measure_now symptom_questionnaire
on arb ; symptom diarrhoea                         | sick_day card PU day: sick_day_pause measure_now contact_care_team
on dhp_ccb ; symptom diarrhoea                     | -
on dhp_ccb ; unknown drugs ; symptom diarrhoea     | sick_day card PU day: sick_day_pause measure_now contact_care_team
no regimen ; symptom dehydration                   | sick_day card PU day: sick_day_pause measure_now contact_care_team
"""

POSTURE_AND_PULSE = """
bp 150/80 seated @-1m ; bp 130/80 standing         | orthostatic card PU day: review_medication standing_pressure
bp 150/80 seated @-1m ; bp 130.5/80 standing       | -
bp 150/80 seated @-1m ; bp 129/80 standing         | orthostatic card PU day: review_medication standing_pressure
bp 150/80 lying @-3m ; bp 140/70 standing          | orthostatic card PU day: review_medication standing_pressure
bp 150/80 lying @-3m ; bp 140/70.5 standing        | -
bp 150/80 lying @-3m ; bp 140/69 standing          | orthostatic card PU day: review_medication standing_pressure
bp 150/- lying @-3m ; bp 125/70 standing           | orthostatic card PU day: review_medication standing_pressure
bp -/80 lying @-3m ; bp 125/65 standing            | orthostatic card PU day: review_medication standing_pressure
bp 150/80 lying @-10m ; bp 120/70 standing         | orthostatic card PU day: review_medication standing_pressure
bp 150/80 lying @-601s ; bp 120/70 standing        | -
bp 150/80 lying @-59s ; bp 120/70 standing         | -
bp 120/70 standing ; bp 150/80 lying @-3m          | orthostatic card PU day: review_medication standing_pressure
bp 120/70 standing @-3m ; bp 150/80 lying          | -
bp 150/80 @-3m ; bp 120/70 standing                | -
bp 150/80 lying @-3m void ; bp 120/70 standing     | -
symptom dizziness @-2h ; bp 150/80 seated @-3m ; bp 125/80 standing | orthostatic urgent page PUA day: contact_care_team review_medication standing_pressure
bp 150/80 seated @-3h ; bp 125/80 standing @-177m ; symptom fall | orthostatic urgent page PUA day: contact_care_team review_medication standing_pressure & symptom card PU day: measure_now symptom_questionnaire
bp 150/80 seated @-2m cuffless ; bp 125/80 standing | orthostatic card PU day unverified: cuff_reading review_medication standing_pressure
bp 130/80 p50                                      | -
bp 130/80 p49.5                                    | heart_rate card PR unverified: review_medication
bp 130/80 p49                                      | heart_rate card PR unverified: review_medication
on beta_blocker ; bp 130/80 p59                    | heart_rate card PR unverified: review_medication
on beta_blocker ; bp 130/80 p59.5                  | heart_rate card PR unverified: review_medication
on beta_blocker ; bp 130/80 p60                    | -
on beta_blocker ; bp 130/80                        | -
on non_dhp_ccb ; bp 130/80 p59                     | heart_rate card PR unverified: review_medication
on dhp_ccb ; bp 130/80 p59                         | -
symptom dizziness ; bp 130/80 p59                  | heart_rate card PR day: review_medication contact_care_team
symptom dizziness ; bp 130/80 p59.5                | heart_rate card PR day: review_medication contact_care_team
symptom dizziness ; bp 130/80 p60                  | -
bp 130/80 p120                                     | -
bp 130/80 p120.5                                   | heart_rate card P unverified: repeat_now review_medication
bp 130/80 p121                                     | heart_rate card P unverified: repeat_now review_medication
bp 130/80 p121 exertion                            | -
bp 130/80 p121 motion                              | -
bp -/- p45                                         | heart_rate card PR unverified: review_medication
bp 130/80 p45 cuffless                             | heart_rate card PR day unverified: cuff_reading review_medication
"""

LABS = """
lab potassium 5.9                                  | -
lab potassium 5.99                                 | -
lab potassium 6.0                                  | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab potassium 6.1                                  | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab potassium 6.49                                 | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab potassium 6.5                                  | dangerous_lab critical page lock PU day: call_emergency contact_care_team repeat_lab review_medication
on arb ; lab potassium 5.5                         | -
on arb ; lab potassium 5.51                        | dangerous_lab card PU day: repeat_lab review_medication
on arb ; lab potassium 5.6                         | dangerous_lab card PU day: repeat_lab review_medication
on dhp_ccb ; lab potassium 5.6                     | -
no regimen ; lab potassium 5.6                     | dangerous_lab card PU day: repeat_lab review_medication
lab sodium 120                                     | -
lab creatinine 80 @-40d ; change ace_inhibitor @-30d ; lab creatinine 103.9  | -
lab creatinine 80 @-40d ; change ace_inhibitor @-30d ; lab creatinine 104    | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab creatinine 80 @-40d ; change ace_inhibitor @-30d ; lab creatinine 105    | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab creatinine 80 @-40d ; change dhp_ccb @-30d ; lab creatinine 160          | -
change arb @-30d ; lab creatinine 160              | -
lab creatinine 160 @-20d ; change arb @-30d ; lab creatinine 160             | -
lab creatinine 80 @-395d ; change arb @-30d ; lab creatinine 160             | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab creatinine 80 @-396d ; change arb @-30d ; lab creatinine 160             | -
lab creatinine 80 @-100d ; change arb @-90d ; lab creatinine 160             | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab creatinine 80 @-100d ; change arb @-91d ; lab creatinine 160             | -
lab creatinine 80 @-99d ; lab creatinine 150 @-40d ; change arb @-30d ; lab creatinine 160 | -
change arb @-10d ; lab creatinine 160 @-1h ; lab creatinine 80 @-12d         | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab egfr 80 @-40d ; change mra @-30d ; lab egfr 60.1                         | -
lab egfr 80 @-40d ; change mra @-30d ; lab egfr 60                           | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab egfr 80 @-40d ; change mra @-30d ; lab egfr 59                           | dangerous_lab urgent page lock PU day: repeat_lab review_medication contact_care_team
lab egfr 80 @-40d ; change thiazide @-30d ; lab egfr 40                      | -
"""

PREGNANCY = """
pregnant ; bp 139/89                               | -
pregnant ; bp -/80                                 | -
pregnant ; bp 130/-                                | -
pregnant ; bp 139.5/89.5                           | -
pregnant ; bp 140/80                               | pregnancy_pressure card PUA day unverified: repeat_now symptom_questionnaire
pregnant ; bp 141/80                               | pregnancy_pressure card PUA day unverified: repeat_now symptom_questionnaire
pregnant ; bp 130/90                               | pregnancy_pressure card PUA day unverified: repeat_now symptom_questionnaire
pregnant ; bp 130/91                               | pregnancy_pressure card PUA day unverified: repeat_now symptom_questionnaire
pregnant ; bp 159.5/85                             | pregnancy_pressure card PUA day unverified: repeat_now symptom_questionnaire
pregnant ; bp 160/85                               | pregnancy_pressure urgent page lock PUA unverified: repeat_now symptom_questionnaire contact_care_team
pregnant ; bp 161/85                               | pregnancy_pressure urgent page lock PUA unverified: repeat_now symptom_questionnaire contact_care_team
pregnant ; bp 135/109.5                            | high_diastolic info unverified: contact_care_team & pregnancy_pressure card PUA day unverified: repeat_now symptom_questionnaire
pregnant ; bp 135/110                              | high_diastolic info unverified: contact_care_team & pregnancy_pressure urgent page lock PUA unverified: repeat_now symptom_questionnaire contact_care_team
postpartum ; bp 160/85                             | pregnancy_pressure urgent page lock PUA unverified: repeat_now symptom_questionnaire contact_care_team
maybe pregnant ; bp 160/85                         | -
pregnant ; bp 162/85 @-15m ; bp 160/85             | pregnancy_pressure critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; bp 162/85 @-15m ; bp 160/85 motion      | pregnancy_pressure critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; bp 162/85 @-14d ; bp 135/110            | high_diastolic info unverified: contact_care_team & pregnancy_pressure critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; bp 162/85 @-337h ; bp 160/85            | pregnancy_pressure urgent page lock PUA unverified: repeat_now symptom_questionnaire contact_care_team
pregnant ; bp 130/110 @-15m ; bp 160/85            | pregnancy_pressure critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; bp 180/85                               | crisis urgent page lock PUA unverified: repeat_now symptom_questionnaire & pregnancy_pressure urgent page lock PUA unverified: repeat_now symptom_questionnaire contact_care_team
pregnant ; symptom headache ; bp 142/85            | pregnancy_pressure critical page lock PUA day: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; symptom headache ; bp 130/95            | pregnancy_pressure critical page lock PUA day: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; symptom headache ; bp 165/85            | pregnancy_pressure critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; symptom headache ; bp 130/112           | high_diastolic info unverified: contact_care_team & pregnancy_pressure critical page lock PUA: call_emergency contact_care_team repeat_now symptom_questionnaire
pregnant ; symptom cough ; bp 142/85               | pregnancy_pressure card PUA day unverified: repeat_now symptom_questionnaire
pregnant ; symptom headache                        | -
pregnant ; symptom upper_abdominal_pain            | pregnancy_symptom urgent page lock PUA: measure_now contact_care_team
symptom upper_abdominal_pain                       | -
pregnant ; record                                  | pregnancy urgent lock PURA day: contact_care_team
postpartum ; record                                | pregnancy urgent lock PURA day: contact_care_team
maybe pregnant ; record                            | -
on arb ; record                                    | -
pregnant ; on dhp_ccb ; record                     | pregnancy urgent lock PURA day: contact_care_team
pregnant ; on arb ; record                         | pregnancy urgent lock PURA day: contact_care_team & pregnancy_drug urgent page lock PUA day: contact_care_team stop_drug_review
"""

AVERAGES = """
mean 110/70                                        | -
mean 109.5/70                                      | amber_low card PU: consider_reduction
mean 109/70                                        | amber_low card PU: consider_reduction
"""

TITLES = {
    "Pressure: one reading, one component": PRESSURE,
    "Two readings": REPEATED,
    "How it was measured": QUALITY,
    "When it was measured": TIME,
    "What is felt": SYMPTOMS,
    "Standing up, and the pulse": POSTURE_AND_PULSE,
    "Laboratory": LABS,
    "Pregnancy and six weeks after": PREGNANCY,
    "The mean of a window": AVERAGES,
}

# Words by words: which symptoms and drug classes each rule must know. Written down here, not read from the table.
EMERGENCY_WITH_CRISIS = (
    "chest_pain shortness_of_breath back_pain numbness weakness vision_change difficulty_speaking confusion dizziness "
    "vomiting severe_headache syncope fall"
)
URGENT_ALONE = "chest_pain shortness_of_breath numbness weakness vision_change difficulty_speaking confusion"
MEASURE_ALONE = "back_pain dizziness fall severe_headache vomiting"
WITH_LOW = "syncope fall dizziness confusion"
WITH_SLOW_PULSE = "syncope fall dizziness confusion fatigue weakness shortness_of_breath chest_pain"
PREECLAMPSIA = (
    "severe_headache headache vision_change upper_abdominal_pain sudden_swelling_of_hands_or_feet shortness_of_breath "
    "chest_pain vomiting confusion difficulty_speaking numbness weakness"
)
PREECLAMPSIA_ALONE = "severe_headache vision_change upper_abdominal_pain sudden_swelling_of_hands_or_feet"
SICK = "vomiting diarrhoea dehydration"
RAS = "ace_inhibitor arb arni renin_inhibitor mra"
POTASSIUM_HOLDING = f"{RAS} potassium_sparing potassium_supplement"
SICK_DAY_DRUGS = f"{RAS} thiazide thiazide_like loop_diuretic potassium_sparing"
SLOWING = "beta_blocker non_dhp_ccb"
HARM_IN_PREGNANCY = RAS


def lists() -> Iterator[tuple[str, str]]:
    """Line by line: what must be among what is said, for every word of the lists above, and for no other symptom."""
    every = [kind.value for kind in SymptomKind]
    for scene, words, said in (
        ("symptom {} ; bp 185/80", EMERGENCY_WITH_CRISIS, "crisis critical"),
        ("symptom {} ; bp 150/125", EMERGENCY_WITH_CRISIS, "crisis critical"),
        ("symptom {}", URGENT_ALONE, "symptom urgent"),
        ("symptom {}", MEASURE_ALONE, "symptom card"),
        ("symptom {} ; bp 85/65", WITH_LOW, "low critical"),
        ("symptom {} ; bp 105/55", WITH_LOW, "low critical"),
        ("symptom {} ; bp 95/65", WITH_LOW, "low urgent"),
        ("symptom {} ; bp 150/55", WITH_LOW, "low urgent"),
        ("symptom {} ; bp 150/80 seated @-3m ; bp 125/80 standing", WITH_LOW, "orthostatic urgent"),
        ("symptom {} ; bp 150/80 seated @-3m ; bp 150/70 standing", WITH_LOW, "orthostatic urgent"),
        ("symptom {} ; bp 130/80 p55", WITH_SLOW_PULSE, "heart_rate card"),
        ("pregnant ; symptom {} ; bp 142/80", PREECLAMPSIA, "pregnancy_pressure critical"),
        ("pregnant ; symptom {}", PREECLAMPSIA_ALONE, "pregnancy_symptom urgent"),
        ("on arb ; symptom {}", SICK, "sick_day card"),
    ):
        for word in every:
            yield f"{scene.format(word)}", said if word in words.split() else f"not {said}"
    for scene, words, said in (
        ("on {} ; lab potassium 5.8", POTASSIUM_HOLDING, "dangerous_lab card"),
        ("on {} ; symptom diarrhoea", SICK_DAY_DRUGS, "sick_day card"),
        ("on {} ; bp 130/80 p55", SLOWING, "heart_rate card"),
        ("pregnant ; on {} ; record", HARM_IN_PREGNANCY, "pregnancy_drug urgent"),
        ("lab creatinine 80 @-40d ; change {} @-30d ; lab creatinine 120", RAS, "dangerous_lab urgent"),
        ("lab egfr 80 @-40d ; change {} @-30d ; lab egfr 50", RAS, "dangerous_lab urgent"),
    ):
        for drug in DrugClass:
            yield scene.format(drug.value), said if drug.value in words.split() else f"not {said}"


def lines() -> Iterator[tuple[str, str]]:
    """Every line of the tables: scene, what is said."""
    for table in TITLES.values():
        for line in table.strip().splitlines():
            scene, said = line.split("|")
            yield scene.strip(), said.strip()


def disagreements(table: DangerTable, about: str = "") -> Iterator[str]:
    """Every line on which `table` does not say what the specification says, as it is found; those `about` a kind."""
    for scene, words in LISTS:
        if about not in words:
            continue
        spoken = {" ".join(one.split()[:2]) for one in play(scene, table).split(" & ")}
        if (words.removeprefix("not ") in spoken) == words.startswith("not "):
            yield f"{scene} | {words} | {spoken}"
    for scene, words in LINES:
        if about in words and (spoken_words := play(scene, table)) != words:
            yield f"{scene} | {words} | {spoken_words}"


LINES = tuple(lines())
LISTS = tuple(lists())


# How a scene is played


def play(scene: str, table: DangerTable) -> str:
    """What the rules say of a scene, in the words of the tables."""
    context, last = _set(scene)
    match last:
        case Average():
            found = assess_average(last, "w1", context, received_at=NOW, table=table)
        case "record":
            found = assess_record(context, received_at=NOW, table=table)
        case Reading() | Lab() | SymptomReport():
            found = assess(last, context, received_at=NOW, table=table)
        case _:
            raise ValueError(f"nothing happens in {scene!r}")
    return " & ".join(said(f) for f in sorted(found, key=lambda f: f.kind)) or "-"


@cache
def _set(scene: str) -> tuple[Context, Event | Average | str | None]:
    """Who is there, what is known, and what happens last."""
    context, last = Context(facts=PLAIN_FACTS, regimen=NO_DRUGS), None
    for item in (part.strip() for part in scene.split(";")):
        context, last = _with(context, item)
    return context, last


def said(finding: Finding) -> str:
    """A finding in the words of the tables."""
    letters = {Scope.PATIENT_FACING: "P", Scope.UP_TITRATION: "U", Scope.RATE_SLOWING: "R", Scope.ROUTINE_ADVICE: "A"}
    words = [finding.kind.value, finding.severity.value]
    words += [word for word, yes in (("page", finding.page), ("lock", finding.lock)) if yes]
    words += ["".join(letters[scope] for scope in letters if scope in finding.bars)]
    more = (("day", finding.same_day_item), ("unverified", finding.unverified), ("historic", finding.historic))
    words += [word for word, yes in more if yes]
    return f"{' '.join(word for word in words if word)}: {' '.join(finding.asks)}".strip()


def _with(context: Context, item: str) -> tuple[Context, Event | Average | str | None]:
    word, *rest = item.split()
    match word:
        case "pregnant" | "postpartum" | "maybe":
            state = {"pregnant": Pregnancy.PREGNANT, "postpartum": Pregnancy.POSTPARTUM, "maybe": Pregnancy.UNKNOWN}
            return replace(context, facts=replace(context.facts, pregnancy=state[word])), None
        case "on":
            return replace(context, regimen=taking(*(DrugClass(one) for one in rest))), None
        case "unknown":
            assert context.regimen
            return replace(context, regimen=replace(context.regimen, unknown=("a product nobody knows",))), None
        case "no":
            return replace(context, regimen=None), None
        case "change":
            change: PastChange = changed(DrugClass(rest[0]), at=NOW + _shift(rest))
            return replace(context, changes=(*context.changes, change)), None
        case "symptom":
            told = symptom(SymptomKind(rest[0]), at=NOW + _shift(rest))
            return replace(context, symptoms=(*context.symptoms, told)), told
        case "lab":
            result = lab(LabKind(rest[0]), rest[1], at=NOW + _shift(rest))
            return replace(context, labs=(*context.labs, result)), result
        case "mean":
            systolic, diastolic = rest[0].split("/")
            return context, Average(MmHg.of(systolic), MmHg.of(diastolic))
        case "record":
            return context, "record"
        case "bp":
            taken = _reading(rest)
            return replace(context, readings=(*context.readings, taken)), taken
    raise ValueError(f"not a thing that happens: {item!r}")


def _shift(words: list[str]) -> timedelta:
    for word in words:
        if word.startswith("@"):
            unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[word[-1]]
            return timedelta(**{unit: float(word[1:-1])})
    return timedelta(0)


_WORDS: dict[str, dict[str, object]] = {
    "cuffless": {"method": Method.CUFFLESS},
    "wrist": {"method": Method.WRIST_CUFF, "device_validated": False},
    "unknown": {"method": Method.UNKNOWN, "device_validated": False},
    "seated": {"position": Position.SEATED},
    "lying": {"position": Position.LYING},
    "standing": {"position": Position.STANDING},
    "motion": {"flags": (Flag.MOTION,)},
    "exertion": {"flags": (Flag.POST_EXERCISE,)},
    "clock": {"flags": (Flag.CLOCK_UNCERTAIN,)},
    "void": {"status": Status.ENTERED_IN_ERROR},
    "preliminary": {"status": Status.PRELIMINARY},
}


def _reading(words: list[str]) -> Reading:
    systolic, diastolic = (None if one == "-" else one for one in words[0].split("/"))
    more: dict[str, object] = {}
    for word in words[1:]:
        if word.startswith("held:"):
            more["quarantined"] = Implausible(word.removeprefix("held:"))
        elif word.startswith("p") and word[1:2].isdigit():
            more["pulse"] = word[1:]
        elif not word.startswith("@"):
            more |= _WORDS[word]
    return reading(systolic, diastolic, at=NOW + _shift(words), **more)  # type: ignore[arg-type]
