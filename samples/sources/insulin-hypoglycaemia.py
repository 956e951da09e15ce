"""ReportLab source of the inpatient diabetes protocol."""
from rl_common import *

ACCENT = colors.HexColor("#5a2d6b")


def build(out):
    register_fonts()
    st = styles(ACCENT)
    d = Doc(out, "LGH-CP-027", "3.0", "Hypoglycaemia and Insulin Safety in Adult Inpatients", "2026-02-16", ACCENT)
    P = lambda t: Paragraph(t, st["p"])
    H = lambda t: Paragraph(t, st["h1"])
    R = lambda n, g, t: P(f"<b>R{n}.</b> {t} <b>[Grade {g}]</b>")
    T = lambda rows, w, cap=None: table(rows, w, st, ACCENT, cap)
    s = [Paragraph("Hypoglycaemia and Insulin Safety in Adult Inpatients", st["h0"])]
    s += meta([("Document number", "LGH-CP-027", "Version", "3.0"), ("Effective date", "16 February 2026", "Review due", "February 2028"),
               ("Owner", "Lead Diabetes Specialist Nurse", "Approved by", "Medicines Safety Committee"), ("Applies to", "All adult wards", "Status", STATUS)], st)
    s += [H("1. Scope and contacts"), P("For adults in hospital who have diabetes or who need insulin for another reason. Diabetic ketoacidosis uses LGH-CP-028. The diabetes inpatient team is on ext 3525 from 08:00 to 17:00, seven days a week; at other times call the medical registrar through switchboard, ext 1000.")]
    s += [H("2. Blood glucose targets and testing"),
          R(1, "B", "The target range for most inpatients is 6.0 to 10.0 mmol/L; 4.0 to 12.0 mmol/L is acceptable."),
          R(2, "C", "Test before each meal and at 22:00 in patients on insulin, and add a test at 03:00 after a night-time hypoglycaemia."),
          R(3, "B", "Use an alternative site to the fingertip only when the patient is not in shock. In shock use a venous or arterial sample.")]
    s += T([("Situation", "How often to test"), ("Insulin by injection", "4 times a day"), ("Sulfonylurea tablets", "Twice a day"), ("Metformin or diet only, stable", "Once a day, then stop after 48 hours if all below 10 mmol/L"),
            ("Variable rate insulin infusion", "Every hour"), ("Tube feeding with insulin", "Every 4 to 6 hours, and at once if the feed stops"), ("New steroid treatment", "Once a day before the evening meal")], (80, 90), "Table 1. Frequency of glucose tests")
    s += [H("3. Hypoglycaemia"), P("Hypoglycaemia is a glucose below 4.0 mmol/L. Severe hypoglycaemia means that the patient needs help from another person to treat it, or a glucose below 3.0 mmol/L."),
          P("Signs include sweating, trembling, hunger, palpitations, confusion, odd behaviour, slurred speech, seizure and coma. Each ward keeps an orange hypo box next to the emergency trolley.")]
    s += T([("State of the patient", "Treatment", "Then"),
            ("A. Awake and able to swallow", "20 g of fast carbohydrate: 200 mL pure orange juice, or 5 glucose tablets (4 g each), or 60 mL glucose liquid", "Test after 15 minutes; repeat up to 3 times"),
            ("B. Awake but confused or unable to cooperate", "2 tubes of glucose 40% gel between gum and cheek, or glucagon 1 mg IM", "Test after 15 minutes; repeat gel up to 3 times, glucagon once only"),
            ("C. Unconscious or in seizure", "Dial 2222. Stop insulin. Glucose 20% 100 mL IV over 15 minutes", "Test after 10 minutes; repeat if below 4.0 mmol/L"),
            ("D. Nil by mouth", "Glucose 20% 75 mL IV over 15 minutes", "Test after 15 minutes; adjust the infusion")], (42, 78, 50), "Table 2. Treatment by the state of the patient")
    s += [P("When the glucose is 4.0 mmol/L or above, give 20 g of slow carbohydrate: two biscuits, one slice of bread, or the next meal if due. Give 40 g after glucagon, because it empties the stores of the liver."),
          R(4, "C", "Do not omit the next dose of long-acting insulin after treatment; ask whether the dose should be reduced by 20%."),
          R(5, "B", "Do not use glucagon in patients with liver failure, prolonged fasting or alcohol dependence; use intravenous glucose."),
          R(6, "B", "Hypoglycaemia from a sulfonylurea can return for 24 to 36 hours. Test every hour for the first 8 hours and consider glucose 10% at 100 mL/h."),
          R(7, "C", "Patients with kidney failure avoid orange juice because of its potassium; use glucose tablets.")]
    s += warn("<b>Glucose 50% is not kept on wards.</b> It damages veins. Use glucose 20%, or glucose 10% 200 mL if 20% is not available.", st)
    s += [H("4. Prescribing insulin"),
          R(8, "B", "Write the word “units” in full, and write the brand, device and dose. The letter U or IU is never used."),
          R(9, "B", "Draw up insulin only with an insulin syringe or a pen device. An ordinary syringe must never be used for insulin."),
          R(10, "C", "Patients who are able may give their own insulin after assessment on form LGH-F-188."),
          P("Give rapid-acting insulin within 15 minutes before the meal, and human soluble insulin 30 minutes before. If the patient is unlikely to eat, give it straight after the meal with half the dose when half is eaten.")]
    s += T([("Insulin", "Type", "Onset", "Peak", "Duration"), ("Aspart, lispro, glulisine", "Rapid", "10 to 20 min", "1 to 3 h", "3 to 5 h"), ("Human soluble", "Short", "30 min", "2 to 4 h", "6 to 8 h"),
            ("Isophane", "Intermediate", "1 to 2 h", "4 to 8 h", "12 to 18 h"), ("Glargine 100 units/mL, detemir", "Long", "1 to 2 h", "little", "20 to 24 h"), ("Degludec", "Ultra-long", "1 h", "none", "42 h"), ("Biphasic 30/70", "Mixed", "10 to 30 min", "1 to 8 h", "12 to 18 h")], (54, 30, 30, 28, 28), "Table 3. Insulins on the formulary")
    s += [P("Insulins of 200, 300 or 500 units/mL are supplied only as pens and are never drawn from a pen into a syringe."),
          P("<b>Correction dose.</b> When the glucose is above 14.0 mmol/L before a meal and ketones are below 0.6 mmol/L, add rapid-acting insulin: 1 unit lowers the glucose by about 3 mmol/L in most adults. Do not give correction doses less than 4 hours apart, and not at bedtime without advice."),
          P("Ketones: test in type 1 diabetes when glucose is above 14.0 mmol/L or the patient vomits. A level of 1.5 to 2.9 mmol/L needs a medical review within 1 hour; 3.0 mmol/L or more is treated as ketoacidosis.")]
    s += [H("5. Variable rate intravenous insulin infusion"), P("Use for patients who miss more than one meal, are severely ill, or vomit. Prepare 50 units of human soluble insulin in 50 mL of sodium chloride 0.9% (1 unit/mL). Run it with glucose 5% containing sodium chloride 0.45% and potassium chloride 20 mmol/L at 83 mL/h.")]
    s += T([("Glucose, mmol/L", "Sensitive (frail, kidney impairment, below 24 units a day)", "Standard", "Resistant (above 100 units a day)"),
            ("Below 4.0", "0, treat as hypoglycaemia", "0, treat as hypoglycaemia", "0, treat as hypoglycaemia"), ("4.1 to 8.0", "0.5 units/h", "1 unit/h", "2 units/h"), ("8.1 to 12.0", "1 unit/h", "2 units/h", "4 units/h"), ("12.1 to 16.0", "2 units/h", "4 units/h", "6 units/h"),
            ("16.1 to 20.0", "3 units/h", "5 units/h", "7 units/h"), ("Above 20.0", "4 units/h, check ketones", "6 units/h, check ketones", "8 units/h, check ketones")], (32, 54, 40, 44), "Table 4. Rate of the infusion")
    s += [R(11, "B", "Continue the long-acting insulin at 80% of the usual dose while the infusion runs."),
          R(12, "B", "Stop the infusion only when the patient eats and drinks, 30 minutes after the first mealtime injection of rapid-acting insulin."),
          R(13, "C", "Change the syringe and the line every 24 hours. Measure potassium at least every 12 hours and follow LGH-PH-001, chapter 7.")]
    s += [H("6. Before surgery"), *T([("Medicine", "Day before", "Day of morning operation", "Day of afternoon operation"), ("Long-acting insulin", "80% of dose", "80% of dose", "80% of dose"), ("Mixed insulin twice a day", "Usual dose", "Half the morning dose", "Half the morning dose"),
            ("Rapid-acting insulin", "Usual dose", "Omit while fasting", "Breakfast dose only, with breakfast"), ("Metformin", "Usual dose", "Omit if creatinine clearance is below 60 mL/min or contrast is used", "As for morning"), ("SGLT2 inhibitor", "Omit", "Omit", "Omit"), ("Sulfonylurea", "Usual dose", "Omit", "Omit")], (44, 34, 48, 44), "Table 5. Adjusting treatment around surgery"),
          P("Stop SGLT2 inhibitors the day before, and test ketones on the day of operation in all who have taken one in the past 72 hours. Restart when eating normally for 24 hours.")]
    s += [H("7. Storage, discharge and audit"), P("Store unopened insulin at 2 to 8 °C. An opened vial or pen is labelled with the date, kept below 25 °C and discarded after 28 days. Never share a pen between patients."),
          P("Before discharge the patient receives a written dose plan, hypoglycaemia advice, and supplies for 14 days. Patients who drive must be told that a severe hypoglycaemia while awake has to be reported to the licensing authority."),
          P("Audit standards: hypoglycaemia treated within 10 minutes of the test in 95%; a repeat test recorded within 20 minutes in 95%; insulin prescriptions without error in 98%. All severe episodes are reported on the incident system within 24 hours."),
          P("<b>Abbreviations.</b> IM, intramuscular; IV, intravenous; SGLT2, sodium-glucose co-transporter 2.")]
    d.build(s)


if __name__ == "__main__":
    import sys
    build(sys.argv[1])
